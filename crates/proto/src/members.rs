//! The members of an ensemble as text: `server.N`, `group.G`, `weight.N`, `version`.
//!
//! The same text stands in configuration files, travels with votes and NEWLEADER, and is the data of
//! the node `/zookeeper/config`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::java;
use crate::properties;

/// What a member line must look like, for messages.
const GRAMMAR: &str = "host:quorumPort:electionPort[:participant|:observer], several of them \
                       joined with |, then optionally ;[clientHost:]clientPort";

/// The members of an ensemble, with the rules of its quorum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// All members by their number.
    pub members: BTreeMap<i64, Member>,
    /// Groups of a hierarchical quorum: the numbers of the members in each.
    pub groups: BTreeMap<i64, Vec<i64>>,
    /// Weights of members in their groups; 1 where none is given.
    pub weights: BTreeMap<i64, i64>,
    /// Whether `group` or `weight` keys are present, which selects the hierarchical quorum.
    pub hierarchical: bool,
    /// The version, from the ending of the name of the dynamic file; 0 without one.
    pub version: i64,
}

/// One member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number, the `N` of `server.N`.
    pub id: i64,
    /// Its addresses for other members, at least one.
    pub addresses: Vec<MemberAddress>,
    /// Whether it votes.
    pub role: Role,
    /// Its address for clients, when the line names one.
    pub client: Option<ClientAddress>,
    /// Whether that address is from the static file, not from the line: then it is not printed.
    pub client_is_static: bool,
}

/// Where other members reach a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAddress {
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// Port for what a leader and its learners say to each other.
    pub quorum_port: u16,
    /// Port for elections.
    pub election_port: u16,
}

/// Where clients reach a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAddress {
    /// Host name or address, IPv6 without brackets; `0.0.0.0` where the line names none.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Whether a member votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It votes.
    Participant,
    /// It follows without a vote.
    Observer,
}

/// A text that is not a list of members.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembersError {
    /// It does not read as settings.
    #[error(transparent)]
    Malformed(#[from] properties::MalformedEscape),
    /// A setting is wrong.
    #[error("{key}={value}: {why}")]
    Setting {
        /// Its key.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// A participant is in no group while others are.
    #[error("server {0} is not in a group")]
    Ungrouped(i64),
    /// A group names a server without a weight that is no participant, whose weight is 1 without one.
    /// Java fails on it with a NullPointerException.
    #[error("server {0} is in a group and is neither a participant nor has a weight")]
    Unweighted(i64),
}

impl Membership {
    /// Reads the text that members send each other and the node `/zookeeper/config` holds. `multi`
    /// allows several addresses for a member.
    ///
    /// # Errors
    /// What is wrong with it. As in Java, nothing but members, groups, weights and a version may be
    /// there. Whether the members can form an ensemble is not asked.
    pub fn parse(text: &str, multi: bool) -> Result<Membership, MembersError> {
        let entries = properties::parse_text(text).map_err(|malformed| malformed[0].clone())?;
        let mut membership = Membership::default();
        // The last of several settings with one key counts, as in every properties text.
        let entries: BTreeMap<String, String> = entries
            .into_iter()
            .map(|entry| (entry.key, entry.value))
            .collect();
        for (key, value) in entries {
            let done = if key == "version" {
                version(&value).map(|version| membership.version = version)
            } else if ["server.", "group", "weight"]
                .iter()
                .any(|family| key.starts_with(family))
            {
                membership.add(&key, &value, multi)
            } else {
                Err("expected server.N, group.G, weight.N or version".to_owned())
            };
            done.map_err(|why| MembersError::Setting { key, value, why })?;
        }
        if let Some(&id) = membership.without_group().first() {
            return Err(MembersError::Ungrouped(id));
        }
        let weighted = membership.weighted();
        let mut grouped = membership.groups.values().flatten();
        if let Some(&id) = grouped.find(|id| !weighted.contains_key(id)) {
            return Err(MembersError::Unweighted(id));
        }
        Ok(membership)
    }

    /// The text of a dynamic configuration file: sorted lines, the last without an end. The committed
    /// one has no version inside, the one that waits for its commit (`.next`) has.
    pub fn dynamic_file(&self, with_version: bool) -> String {
        let text = self.to_string();
        let mut lines: Vec<&str> = text
            .lines()
            .filter(|line| with_version || !line.starts_with("version"))
            .collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Whether both are one configuration, as Java compares them: by version, or else by members,
    /// groups and weights. Addresses are compared as they are written, where Java asks for the
    /// machine behind a name, which is another one when the name moves (ZOOKEEPER-4708).
    pub fn is_same(&self, other: &Membership) -> bool {
        self.hierarchical == other.hierarchical
            && (self.version == other.version
                || (self.members.len() == other.members.len()
                    && self
                        .members
                        .values()
                        .zip(other.members.values())
                        .all(|(a, b)| a.is_same(b))
                    && self.grouped() == other.grouped()
                    && self.weighted() == other.weighted()))
    }

    /// The weight of a member in its group: 1 for participants without one, 0 for all others. Without
    /// groups each participant has the weight 1.
    pub fn weight(&self, id: i64) -> i64 {
        self.weighted().get(&id).copied().unwrap_or(0)
    }

    /// The weights, with that of participants that none is given.
    fn weighted(&self) -> BTreeMap<i64, i64> {
        let participants = self
            .members
            .values()
            .filter(|member| member.role == Role::Participant)
            .map(|member| (member.id, 1));
        let mut weights: BTreeMap<i64, i64> = participants.collect();
        if self.hierarchical {
            weights.extend(&self.weights);
        }
        weights
    }

    /// The group of each member that has one.
    fn grouped(&self) -> BTreeMap<i64, i64> {
        self.groups
            .iter()
            .flat_map(|(&group, ids)| ids.iter().map(move |&id| (id, group)))
            .collect()
    }

    /// The number of members that vote.
    pub fn participants(&self) -> usize {
        self.members
            .values()
            .filter(|member| member.role == Role::Participant)
            .count()
    }

    /// The number of members that do not vote.
    pub fn observers(&self) -> usize {
        self.members.len() - self.participants()
    }

    /// Takes one `server.*`, `group*` or `weight*` setting in.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn add(&mut self, key: &str, value: &str, multi: bool) -> Result<(), String> {
        // As in Java a family is told by how the key begins, its number by what follows the dot.
        let number = key.split_once('.').map_or(key, |(_, number)| number);
        let number: i64 = java::decimal(number)
            .ok_or_else(|| format!("{number:?} is not a number: expected server.1, group.1 …"))?;
        if key.starts_with("server.") {
            self.members
                .insert(number, Member::parse(number, value, multi)?);
        } else if key.starts_with("group") {
            let mut ids = Vec::new();
            for id in java::split(value, ':') {
                let id = java::decimal(id).ok_or_else(|| {
                    format!("{id:?} is not a member: expected numbers joined with :")
                })?;
                if ids.contains(&id) || self.groups.values().flatten().any(|&other| other == id) {
                    return Err(format!("server {id} is in several groups"));
                }
                ids.push(id);
            }
            self.groups.insert(number, ids);
            self.hierarchical = true;
        } else {
            let weight =
                java::decimal(value).ok_or_else(|| "expected a whole number".to_owned())?;
            self.weights.insert(number, weight);
            self.hierarchical = true;
        }
        Ok(())
    }

    /// Participants that no group names, which a hierarchical quorum does not allow.
    pub fn without_group(&self) -> Vec<i64> {
        if !self.hierarchical {
            return Vec::new();
        }
        self.members
            .values()
            .filter(|member| member.role == Role::Participant)
            .map(|member| member.id)
            .filter(|id| !self.groups.values().flatten().any(|grouped| grouped == id))
            .collect()
    }
}

impl Member {
    /// Reads the value of a `server.N` line. `multi` allows several addresses.
    ///
    /// # Errors
    /// What is wrong with it, and what a line must look like.
    pub fn parse(id: i64, text: &str, multi: bool) -> Result<Member, String> {
        // Java is fatal about a blank after the last port; no valid line changes by trimming it.
        let text = text.trim();
        let form = || format!("expected {GRAMMAR}");
        let halves = java::split(text, ';');
        let servers = java::split(halves.first().ok_or_else(form)?, '|');
        let client = match halves[..] {
            [_] => None,
            [_, client] => Some(client_address(client)?),
            _ => return Err(form()),
        };
        if servers.len() > 1 && !multi {
            return Err("several addresses for a member need multiAddress.enabled=true".to_owned());
        }
        let mut addresses = Vec::new();
        let mut role = None;
        for server in servers {
            let (host, parts) = host_and_rest(server)?;
            let (quorum, election, named) = match parts[..] {
                [quorum, election] => (quorum, election, None),
                [quorum, election, role] => (quorum, election, Some(role)),
                _ => return Err(form()),
            };
            let address = MemberAddress {
                host: named_host(host),
                quorum_port: port(quorum)?,
                election_port: port(election)?,
            };
            if address.quorum_port == address.election_port {
                return Err(format!(
                    "the quorum port and the election port are both {quorum}; they must differ"
                ));
            }
            // Java keeps a set of them.
            if !addresses.contains(&address) {
                addresses.push(address);
            }
            if let Some(named) = named {
                let named = Role::parse(named.trim())
                    .ok_or_else(|| format!("role {named:?}: expected participant or observer"))?;
                if role.is_some_and(|role| role != named) {
                    return Err("all addresses of a member must have the same role".to_owned());
                }
                role = Some(named);
            }
        }
        if addresses.is_empty() {
            return Err(form());
        }
        Ok(Member {
            id,
            addresses,
            role: role.unwrap_or(Role::Participant),
            client,
            client_is_static: false,
        })
    }
}

impl Role {
    /// `participant` or `observer` in any case.
    pub fn parse(text: &str) -> Option<Role> {
        if text.eq_ignore_ascii_case("participant") {
            Some(Role::Participant)
        } else if text.eq_ignore_ascii_case("observer") {
            Some(Role::Observer)
        } else {
            None
        }
    }
}

/// The text that Apache ZooKeeper keeps of an ensemble: one line per member, then groups and weights,
/// then the version without an end of line. Lines are in the order of Java's hash maps, which is
/// that of the numbers while these are small.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in java::hash_order(self.members.keys()) {
            writeln!(f, "server.{id}={}", self.members[&id])?;
        }
        if self.hierarchical {
            let grouped = self.grouped();
            let ids = java::hash_order(grouped.keys());
            for group in java::hash_order(self.groups.keys()) {
                let own = ids.iter().filter(|id| grouped[id] == group);
                let own: Vec<String> = own.map(i64::to_string).collect();
                // Java knows groups by their members only.
                if !own.is_empty() {
                    writeln!(f, "group.{group}={}", own.join(":"))?;
                }
            }
            let weighted = self.weighted();
            for id in java::hash_order(weighted.keys()) {
                writeln!(f, "weight.{id}={}", weighted[&id])?;
            }
        }
        write!(f, "version={:x}", self.version)
    }
}

impl Member {
    /// Whether both are one member at the same addresses and in the same role.
    pub fn is_same(&self, other: &Member) -> bool {
        let client = |member: &Member| {
            let client = member.client.as_ref()?;
            Some((canonical(&client.host), client.port))
        };
        self.id == other.id
            && self.role == other.role
            && self.has_addresses_of(other)
            && client(self) == client(other)
    }

    /// Whether both have the same addresses for other members, in any order.
    pub fn has_addresses_of(&self, other: &Member) -> bool {
        let sorted = |member: &Member, port: fn(&MemberAddress) -> u16| {
            let mut all: Vec<_> = member
                .addresses
                .iter()
                .map(|address| (canonical(&address.host), port(address)))
                .collect();
            all.sort();
            all.dedup();
            all
        };
        [
            (|a: &MemberAddress| a.quorum_port) as fn(&MemberAddress) -> u16,
            |a| a.election_port,
        ]
        .into_iter()
        .all(|port| sorted(self, port) == sorted(other, port))
    }
}

/// The value of its line: addresses sorted by host, role, and its client address unless that is from
/// the static file.
impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<(String, &MemberAddress)> = self
            .addresses
            .iter()
            .map(|address| (canonical(&address.host), address))
            .collect();
        addresses.sort_by(|a, b| a.0.cmp(&b.0));
        for (index, (host, address)) in addresses.iter().enumerate() {
            let separator = if index == 0 { "" } else { "|" };
            let (quorum, election) = (address.quorum_port, address.election_port);
            write!(f, "{separator}{}:{quorum}:{election}", bracketed(host))?;
        }
        f.write_str(match self.role {
            Role::Participant => ":participant",
            Role::Observer => ":observer",
        })?;
        match &self.client {
            Some(client) if !self.client_is_static => {
                write!(
                    f,
                    ";{}:{}",
                    bracketed(&canonical(&client.host)),
                    client.port
                )
            }
            _ => Ok(()),
        }
    }
}

/// A host as Java prints it: an IPv6 address in full, an IPv4 address mapped into IPv6 as IPv4.
fn canonical(host: &str) -> String {
    match host
        .parse::<Ipv6Addr>()
        .map(|ip| IpAddr::V6(ip).to_canonical())
    {
        Ok(IpAddr::V6(ip)) => ip.segments().map(|part| format!("{part:x}")).join(":"),
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Err(_) => host.to_owned(),
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

/// `Long.parseLong` with radix 16.
fn version(text: &str) -> Result<i64, String> {
    i64::from_str_radix(text, 16).map_err(|_| "expected a hexadecimal number".to_owned())
}

fn client_address(text: &str) -> Result<ClientAddress, String> {
    let form = || format!("client address {text:?}: expected port or host:port");
    if text.starts_with('[') {
        let (host, parts) = host_and_rest(text)?;
        return match parts[..] {
            [own] => Ok(ClientAddress {
                host: named_host(host),
                port: port(own)?,
            }),
            _ => Err(form()),
        };
    }
    match java::split(text, ':')[..] {
        [own] => Ok(ClientAddress {
            host: "0.0.0.0".to_owned(),
            port: port(own)?,
        }),
        [host, own] => Ok(ClientAddress {
            host: named_host(host),
            port: port(own)?,
        }),
        _ => Err(form()),
    }
}

/// No name is this machine, as in Java.
fn named_host(host: &str) -> String {
    if host.is_empty() { "localhost" } else { host }.to_owned()
}

/// Splits `host:a:b` or `[v6]:a:b` into the host and what follows.
fn host_and_rest(text: &str) -> Result<(&str, Vec<&str>), String> {
    if let Some(bracket) = text.strip_prefix('[') {
        let (host, rest) = bracket
            .split_once(']')
            .ok_or_else(|| format!("{text:?} begins with [ and has no ]"))?;
        let rest = rest.strip_prefix(':').filter(|rest| !rest.is_empty());
        let rest = rest.ok_or_else(|| format!("{text:?} has no port after the address"))?;
        return Ok((host, java::split(rest, ':')));
    }
    let parts = java::split(text, ':');
    let (host, rest) = parts
        .split_first()
        .ok_or_else(|| format!("expected {GRAMMAR}"))?;
    Ok((host, rest.to_vec()))
}

fn port(text: &str) -> Result<u16, String> {
    java::decimal::<i32>(text)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or_else(|| format!("port {text:?}: expected a number from 0 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 3.9.5 makes of lines and texts, see `testdata/README.md`.
    #[test]
    fn members_read_and_print_as_in_java() {
        let check = |answers: &str, read: fn(&str) -> Option<String>| {
            for line in answers.lines() {
                let (given, answer) = line.split_once('\t').expect("a line and its answer");
                let expected = (answer != "!").then(|| answer.to_owned());
                assert_eq!(read(given), expected, "{given:?}");
            }
        };
        check(include_str!("../testdata/members/lines.tsv"), |line| {
            Some(Member::parse(1, line, true).ok()?.to_string())
        });
        check(include_str!("../testdata/members/texts.tsv"), |text| {
            let text = text.replace("\\n", "\n");
            let text = Membership::parse(&text, true).ok()?.to_string();
            Some(text.replace('\n', "\\n"))
        });
    }

    #[test]
    fn what_is_printed_reads_as_the_same() {
        for line in include_str!("../testdata/members/texts.tsv").lines() {
            let (_, text) = line.split_once('\t').unwrap();
            // A version that is printed with its sign bit is beyond what Java reads.
            if text == "!" || text.contains("version=ff") {
                continue;
            }
            let text = text.replace("\\n", "\n");
            let members = Membership::parse(&text, false).unwrap();
            assert_eq!(members.to_string(), text);
            let next = Membership::parse(&members.dynamic_file(true), false).unwrap();
            assert!(next.is_same(&members) && next.to_string() == text);
        }
    }

    #[test]
    fn a_dynamic_file_has_sorted_lines() {
        let text = "server.2=b:1:2\nserver.10=c:1:2\nversion=1f";
        let members = Membership::parse(text, false).unwrap();
        let lines = "server.10=c:1:2:participant\nserver.2=b:1:2:participant";
        assert_eq!(members.dynamic_file(false), lines);
        assert_eq!(members.dynamic_file(true), format!("{lines}\nversion=1f"));
    }

    #[test]
    fn configurations_are_one_by_version_or_by_all_members() {
        let parse = |text| Membership::parse(text, true).unwrap();
        let a = parse("server.1=a:1:2|b:3:4\nserver.2=c:1:2;5\nversion=7");
        assert!(a.is_same(&parse("server.1=z:1:2\nversion=7")));
        assert!(a.is_same(&parse("server.1=b:3:4|a:1:2\nserver.2=c:1:2;0.0.0.0:5")));
        for other in [
            "server.1=a:1:2|b:3:4\nserver.2=c:1:2;6",
            "server.1=a:1:2|b:3:4\nserver.2=c:1:2:observer;5",
            "server.1=a:1:2|b:3:5\nserver.2=c:1:2;5",
            "server.1=a:1:2\nserver.2=c:1:2;5",
            "server.1=a:1:2|b:3:4",
            "server.1=a:1:2|b:3:4\nserver.2=c:1:2;5\ngroup.1=1:2\nversion=7",
        ] {
            assert!(!a.is_same(&parse(other)), "{other}");
        }
        let grouped = parse("server.1=a:1:2\nserver.2=b:1:2:observer\ngroup.1=1\nweight.2=0");
        assert_eq!((grouped.weight(1), grouped.weight(2)), (1, 0));
    }

    #[test]
    fn the_address_of_the_static_file_is_not_printed() {
        let mut member = Member::parse(1, "a:1:2;5", false).unwrap();
        member.client_is_static = true;
        assert_eq!(member.to_string(), "a:1:2:participant");
    }

    /// The rules of section 7 of the configuration reference.
    #[test]
    fn section_7_member_lines() {
        for (line, canonical) in [
            ("a:1:2", "a:1:2:participant"),
            ("a:1:2:observer", "a:1:2:observer"),
            ("a:1:2:OBSERVER;2181", "a:1:2:observer;0.0.0.0:2181"),
            ("a:1:2;b:2181", "a:1:2:participant;b:2181"),
            (
                "[::1]:1:2;[::]:2181",
                "[0:0:0:0:0:0:0:1]:1:2:participant;[0:0:0:0:0:0:0:0]:2181",
            ),
            ("b:1:2|a:3:4", "a:3:4|b:1:2:participant"),
            ("a:1:2 ", "a:1:2:participant"),
            ("a:1:2:;", "a:1:2:participant"),
        ] {
            let member = Member::parse(1, line, true).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert_eq!(member.to_string(), canonical, "{line}");
        }
        for line in [
            "",
            ";",
            "|",
            "a",
            "a:1",
            "a:1:1",
            "a:1:2:voter",
            "a:1:2:observer:3",
            "a:x:2",
            "a:1:70000",
            "a:1:-2",
            "a:1:2;b:3;4",
            "a:1:2;b:3:4",
            "a:1:2;x",
            "[::1:1:2",
            "[::1]",
            "[::1]:",
            "a:1:2:observer|b:1:2:participant",
        ] {
            assert!(Member::parse(1, line, true).is_err(), "{line:?}");
        }
        let error = Member::parse(1, "a:1:2|b:1:2", false).unwrap_err();
        assert!(error.contains("multiAddress.enabled"), "{error}");
    }

    #[test]
    fn section_7_canonical_text_and_groups() {
        let mut membership = Membership {
            version: 0x100,
            ..Membership::default()
        };
        for (key, value) in [
            ("server.2", "b:1:2:observer"),
            ("server.10", "c:1:2"),
            ("server.1", "a:1:2;2181"),
            ("group.1", "1:10"),
            ("weight.1", "3"),
        ] {
            membership.add(key, value, false).unwrap();
        }
        assert_eq!(
            membership.to_string(),
            "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:observer\n\
             server.10=c:1:2:participant\ngroup.1=1:10\nweight.1=3\nweight.10=1\nversion=100"
        );
        assert_eq!((membership.participants(), membership.observers()), (2, 1));
        assert!(membership.without_group().is_empty());
        assert!(
            membership
                .add("group.2", "1", false)
                .unwrap_err()
                .contains("several groups")
        );
        assert!(
            membership
                .add("server.x", "a:1:2", false)
                .unwrap_err()
                .contains("not a number")
        );
        assert!(membership.add("groups", "1", false).is_err());
        membership.add("server.3", "d:1:2", false).unwrap();
        assert_eq!(membership.without_group(), [3]);
    }
}
