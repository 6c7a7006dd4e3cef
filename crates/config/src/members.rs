//! The members of an ensemble as configuration files write them: `server.N`, `group.G`, `weight.N`.

use std::collections::BTreeMap;
use std::fmt;

use crate::java;

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

impl Membership {
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
    pub(crate) fn add(&mut self, key: &str, value: &str, multi: bool) -> Result<(), String> {
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
    pub(crate) fn without_group(&self) -> Vec<i64> {
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
                host: host.to_owned(),
                quorum_port: port(quorum)?,
                election_port: port(election)?,
            };
            if address.quorum_port == address.election_port {
                return Err(format!(
                    "the quorum port and the election port are both {quorum}; they must differ"
                ));
            }
            addresses.push(address);
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
        })
    }
}

impl Role {
    /// `participant` or `observer` in any case.
    pub(crate) fn parse(text: &str) -> Option<Role> {
        if text.eq_ignore_ascii_case("participant") {
            Some(Role::Participant)
        } else if text.eq_ignore_ascii_case("observer") {
            Some(Role::Observer)
        } else {
            None
        }
    }
}

/// The text that Apache ZooKeeper keeps of an ensemble: one line per member in the order of their
/// numbers, then groups and weights, then the version without an end of line.
impl fmt::Display for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self
            .members
            .values()
            .map(|m| format!("server.{}={m}", m.id));
        let groups = self.groups.iter().map(|(group, ids)| {
            let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
            format!("group.{group}={}", ids.join(":"))
        });
        let weights = self
            .weights
            .iter()
            .map(|(id, weight)| format!("weight.{id}={weight}"));
        for line in members.chain(groups).chain(weights) {
            writeln!(f, "{line}")?;
        }
        write!(f, "version={:x}", self.version)
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<&MemberAddress> = self.addresses.iter().collect();
        addresses.sort_by(|a, b| a.host.cmp(&b.host));
        for (index, address) in addresses.into_iter().enumerate() {
            let MemberAddress {
                host,
                quorum_port,
                election_port,
            } = address;
            let separator = if index == 0 { "" } else { "|" };
            write!(
                f,
                "{separator}{}:{quorum_port}:{election_port}",
                bracketed(host)
            )?;
        }
        f.write_str(match self.role {
            Role::Participant => ":participant",
            Role::Observer => ":observer",
        })?;
        match &self.client {
            Some(client) => write!(f, ";{}:{}", bracketed(&client.host), client.port),
            None => Ok(()),
        }
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn client_address(text: &str) -> Result<ClientAddress, String> {
    let form = || format!("client address {text:?}: expected port or host:port");
    if text.starts_with('[') {
        let (host, parts) = host_and_rest(text)?;
        return match parts[..] {
            [own] => Ok(ClientAddress {
                host: host.to_owned(),
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
            host: host.to_owned(),
            port: port(own)?,
        }),
        _ => Err(form()),
    }
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

    /// The rules of section 7 of the configuration reference.
    #[test]
    fn section_7_member_lines() {
        for (line, canonical) in [
            ("a:1:2", "a:1:2:participant"),
            ("a:1:2:observer", "a:1:2:observer"),
            ("a:1:2:OBSERVER;2181", "a:1:2:observer;0.0.0.0:2181"),
            ("a:1:2;b:2181", "a:1:2:participant;b:2181"),
            ("[::1]:1:2;[::]:2181", "[::1]:1:2:participant;[::]:2181"),
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
             server.10=c:1:2:participant\ngroup.1=1:10\nweight.1=3\nversion=100"
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
