//! What was seen of an ensemble, and how the answers of its members are read. Nothing here talks to
//! anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zooid_config::{Member, Membership, Role};

/// An ensemble as it was at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ensemble {
    /// Those whose addresses are known, by number, then by address.
    pub(super) members: Vec<Seen>,
    /// Members that the list of members has and no address for clients is known of.
    pub(super) unknown: Vec<i64>,
    /// The list of members; `None` for a server alone, or when nobody could be asked.
    pub(super) membership: Option<Membership>,
    /// The access control lists; `None` when they were not looked at.
    pub(super) acls: Option<Acls>,
    /// What the settings mean for Zooid.
    pub(super) settings: Vec<Setting>,
    /// Whether a configuration file was given.
    pub(super) has_file: bool,
}

/// One member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// Where clients reach it.
    pub(super) address: String,
    /// Its number, if it could be found out.
    pub(super) id: Option<i64>,
    /// What it said, or why it said nothing.
    pub(super) server: Result<Server, Trouble>,
}

/// Why a member says nothing of use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody answers there.
    Silent(String),
    /// It runs, and does not serve: it has no quorum, or has just started.
    NotServing,
    /// Somebody answers who is no ZooKeeper server.
    Stranger(String),
}

/// A server that serves.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Server {
    /// Who made it.
    pub(super) kind: Kind,
    /// The version of Apache ZooKeeper that it says.
    pub(super) version: Version,
    /// Its role, as `srvr` has it.
    pub(super) mode: String,
    /// Its last transaction.
    pub(super) zxid: i64,
    /// Its nodes.
    pub(super) nodes: u64,
    /// Its connections.
    pub(super) connections: u64,
    /// The answer to `mntr`.
    pub(super) monitor: Answer<Monitor>,
    /// Digests of its tree by zxid, the answer to `hash`.
    pub(super) digests: Answer<BTreeMap<i64, i64>>,
    /// The answer to `conf`.
    pub(super) conf: Answer<BTreeMap<String, String>>,
    /// The answer to `cons`.
    pub(super) clients: Answer<Clients>,
}

/// Who made a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Apache ZooKeeper.
    Java,
    /// Zooid, with its own version.
    Zooid(String),
}

/// A version of Apache ZooKeeper; 0.0.0 where it could not be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32, pub(super) u32);

/// An answer that may not be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer<T> {
    /// The answer.
    Told(T),
    /// The word is not in the whitelist, and the admin server did not help.
    NotAllowed,
    /// Nobody asked, or no answer came.
    Missing,
}

/// Values of `mntr` by their names without `zk_`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Monitor(pub(super) BTreeMap<String, String>);

/// The clients of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Clients {
    /// Sessions with a connection here.
    pub(super) sessions: u64,
    /// The shortest session timeout, ms.
    pub(super) shortest_ms: Option<u64>,
    /// Last operations, by the short names of `cons`.
    pub(super) operations: BTreeSet<String>,
}

/// What a walk over access control lists has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Acls {
    /// Nodes looked at.
    pub(super) nodes: u64,
    /// Nodes that were known and not looked at, because the walk is bounded.
    pub(super) left: u64,
    /// Nodes that this client may not read.
    pub(super) hidden: u64,
    /// Nodes per scheme.
    pub(super) schemes: BTreeMap<String, u64>,
    /// Nodes with a time to live.
    pub(super) ttl_nodes: u64,
    /// Containers.
    pub(super) containers: u64,
    /// Why the walk ended early.
    pub(super) broken: Option<String>,
}

/// What a setting means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// How much it matters.
    pub(super) weight: Weight,
    /// The setting with its place, and what is said about it.
    pub(super) text: String,
}

/// How much a setting matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// Zooid does not start with it.
    Refused,
    /// Data or access is at risk.
    Danger,
    /// It has no effect, or another one.
    Remark,
}

impl Ensemble {
    /// Those that serve.
    pub(super) fn serving(&self) -> impl Iterator<Item = (&Seen, &Server)> {
        self.members
            .iter()
            .filter_map(|member| Some((member, member.server.as_ref().ok()?)))
    }

    /// The only one that leads.
    pub(super) fn leader(&self) -> Option<(&Seen, &Server)> {
        let mut leaders = self.serving().filter(|(_, server)| server.leads());
        leaders.next().filter(|_| leaders.next().is_none())
    }

    /// Whether it is one server alone.
    pub(super) fn is_alone(&self) -> bool {
        self.members.len() == 1
            && self
                .serving()
                .any(|(_, server)| server.mode == "standalone")
    }

    /// The line of a member in the list of members.
    pub(super) fn line_of(&self, member: &Seen) -> Option<&Member> {
        self.membership.as_ref()?.members.get(&member.id?)
    }

    /// Whether a member has no vote.
    pub(super) fn is_observer(&self, member: &Seen) -> bool {
        match self.line_of(member) {
            Some(line) => line.role == Role::Observer,
            None => member
                .server
                .as_ref()
                .is_ok_and(|server| server.mode == "observer"),
        }
    }

    /// Whether those who vote have a quorum without one of them.
    pub(super) fn has_quorum_without(&self, out: &Seen) -> bool {
        let Some(membership) = &self.membership else {
            let voters = self.members.iter().filter(|one| !self.is_observer(one));
            let voters = voters.count();
            return voters.saturating_sub(1) > voters / 2;
        };
        let here = |id: i64| Some(id) != out.id;
        let votes = |id: &i64| {
            let member = membership.members.get(id);
            let votes = member.is_some_and(|member| member.role == Role::Participant);
            if votes { membership.weight(*id) } else { 0 }
        };
        let majority = |ids: &[i64]| {
            let all: i64 = ids.iter().map(votes).sum();
            let left: i64 = ids.iter().filter(|id| here(**id)).map(votes).sum();
            (all > 0).then_some(left > all / 2)
        };
        if !membership.hierarchical {
            let ids: Vec<i64> = membership.members.keys().copied().collect();
            return majority(&ids).unwrap_or(false);
        }
        let groups: Vec<bool> = membership
            .groups
            .values()
            .filter_map(|ids| majority(ids))
            .collect();
        groups.iter().filter(|whole| **whole).count() > groups.len() / 2
    }
}

impl Seen {
    /// How it is called.
    pub(super) fn name(&self) -> String {
        match self.id {
            Some(id) => format!("server.{id} ({})", self.address),
            None => self.address.clone(),
        }
    }
}

impl Server {
    pub(super) fn leads(&self) -> bool {
        self.mode == "leader"
    }

    /// A value of `mntr`.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        match &self.monitor {
            Answer::Told(monitor) => monitor.number(name),
            _ => None,
        }
    }
}

impl<T> Answer<T> {
    pub(super) fn told(&self) -> Option<&T> {
        match self {
            Answer::Told(value) => Some(value),
            _ => None,
        }
    }

    /// Whether the answer is not allowed.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self, Answer::NotAllowed)
    }
}

impl Kind {
    pub(super) fn is_zooid(&self) -> bool {
        matches!(self, Kind::Zooid(_))
    }
}

impl Monitor {
    /// The names and values of `mntr`.
    pub(super) fn parse(text: &str) -> Monitor {
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        let pairs = pairs.map(|(name, value)| {
            let name = name.strip_prefix("zk_").unwrap_or(name);
            (name.to_owned(), value.trim().to_owned())
        });
        Monitor(pairs.collect())
    }

    /// A whole number; the exporter for Prometheus makes a fraction of it.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        let text = self.0.get(name)?;
        let fraction = || text.parse::<f64>().ok().map(|number| number as i64);
        text.parse().ok().or_else(fraction)
    }
}

impl Clients {
    /// The lines of `cons`.
    pub(super) fn parse(text: &str) -> Clients {
        let mut clients = Clients::default();
        for line in text.lines().filter(|line| line.contains(",sid=0x")) {
            clients.sessions += 1;
            let fields = line.trim_end_matches(')').split(',');
            for (name, value) in fields.filter_map(|field| field.split_once('=')) {
                match (name, value.parse::<u64>()) {
                    ("lop", _) => {
                        clients.operations.insert(value.to_owned());
                    }
                    ("to", Ok(timeout)) => {
                        let shortest = clients.shortest_ms.unwrap_or(timeout);
                        clients.shortest_ms = Some(shortest.min(timeout));
                    }
                    _ => {}
                }
            }
        }
        clients
    }
}

/// The digests of `hash` by zxid.
pub(super) fn digests(text: &str) -> BTreeMap<i64, i64> {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs
        .filter_map(|(zxid, digest)| {
            let zxid = u64::from_str_radix(zxid.trim(), 16).ok()?;
            Some((zxid.cast_signed(), digest.trim().parse().ok()?))
        })
        .collect()
}

/// The lines `key=value` of `conf` and `envi`.
pub(super) fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// Reads `srvr`, which Zooid answers with one line more when it is asked with its name.
pub(super) fn srvr(text: &str) -> Result<Server, Trouble> {
    if text.starts_with("This ZooKeeper instance is not currently serving") {
        return Err(Trouble::NotServing);
    }
    let lines: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name, value.trim()))
        .collect();
    let (Some(version), Some(mode)) = (lines.get("Zookeeper version"), lines.get("Mode")) else {
        let shown: String = text.chars().take(60).collect();
        return Err(Trouble::Stranger(format!(
            "what answers is no ZooKeeper server: {:?}",
            shown.trim_end()
        )));
    };
    let number = |name: &str| lines.get(name).and_then(|text| text.parse().ok());
    let zxid = lines.get("Zxid").and_then(|text| text.strip_prefix("0x"));
    let zxid = zxid.and_then(|text| u64::from_str_radix(text, 16).ok());
    Ok(Server {
        kind: match lines.get("Zooid version") {
            Some(version) => Kind::Zooid((*version).to_owned()),
            None => Kind::Java,
        },
        version: Version::parse(version),
        mode: (*mode).to_owned(),
        zxid: zxid.unwrap_or(0).cast_signed(),
        nodes: number("Node count").unwrap_or(0),
        connections: number("Connections").unwrap_or(0),
        monitor: Answer::Missing,
        digests: Answer::Missing,
        conf: Answer::Missing,
        clients: Answer::Missing,
    })
}

impl Version {
    /// The three numbers at the start of a version.
    pub(super) fn parse(text: &str) -> Version {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
        let mut numbers = text[..end.unwrap_or(text.len())]
            .split('.')
            .map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Version(next(), next(), next())
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version(major, minor, patch) = self;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Java => write!(f, "Java {}", self.version),
            Kind::Zooid(version) => write!(f, "Zooid {version}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Silent(why) => write!(f, "does not answer: {why}"),
            Trouble::NotServing => f.write_str(
                "runs, and does not serve: it has no leader, or leads with leaderServes=no",
            ),
            Trouble::Stranger(what) => f.write_str(what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SRVR: &str = "Zookeeper version: 3.8.4-9316c2a7a97e1666d8f4593f34dd6fc36ecc436c, built on 2024-02-12 22:16 UTC\n\
        Latency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 0\nConnections: 7\nOutstanding: 0\n\
        Zxid: 0x1200000003\nMode: follower\nNode count: 5\n";

    #[test]
    fn srvr_tells_the_kind() {
        let java = srvr(SRVR).unwrap();
        assert_eq!(java.kind, Kind::Java);
        assert_eq!(java.version, Version(3, 8, 4));
        assert_eq!((java.zxid, java.connections), (0x12_0000_0003, 7));
        let zooid = srvr(&format!("{SRVR}Zooid version: 0.1.0\n")).unwrap();
        assert_eq!(zooid.to_string(), "Zooid 0.1.0");
        assert_eq!(
            srvr("This ZooKeeper instance is not currently serving requests\n"),
            Err(Trouble::NotServing)
        );
        let Err(Trouble::Stranger(what)) = srvr("HTTP/1.1 400 Bad Request\r\n") else {
            panic!("an HTTP server was taken for a ZooKeeper server");
        };
        assert!(what.contains("HTTP/1.1 400"), "{what}");
    }

    #[test]
    fn answers_of_both_kinds_are_read() {
        let monitor = Monitor::parse("zk_version\t3.9.5\nzk_synced_followers\t2.0\nzk_x\t3\n");
        assert_eq!(monitor.number("synced_followers"), Some(2));
        assert_eq!(monitor.number("x"), Some(3));
        assert_eq!(monitor.number("version"), None);
        let clients = Clients::parse(
            " /127.0.0.1:1[0](queued=0,recved=1,sent=0)\n \
             /127.0.0.1:2[1](queued=0,recved=68,sent=88,sid=0x300001e725f0000,lop=ADDW,est=1,to=10000,lcxid=0x43,llat=0,maxlat=152)\n \
             /127.0.0.1:3[1](queued=0,recved=6,sent=8,sid=0x300001e725f0001,lop=PING,est=1,to=4000,llat=0,maxlat=1)\n\n",
        );
        assert_eq!((clients.sessions, clients.shortest_ms), (2, Some(4000)));
        assert_eq!(
            clients.operations.into_iter().collect::<Vec<_>>(),
            ["ADDW", "PING"]
        );
        assert_eq!(
            digests("80: 28046781116\n100000080: -5\nx: y\n"),
            BTreeMap::from([(0x80, 28_046_781_116), (0x1_0000_0080, -5)])
        );
    }

    #[test]
    fn odd_versions_are_read() {
        assert_eq!(Version::parse("3.10.0-SNAPSHOT-x"), Version(3, 10, 0));
        assert_eq!(Version::parse("3.9"), Version(3, 9, 0));
        assert_eq!(Version::parse("unknown"), Version(0, 0, 0));
    }

    #[test]
    fn a_quorum_may_be_one_of_groups() {
        let text = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer\n";
        let member = |id| Seen {
            address: format!("m{id}:2181"),
            id: Some(id),
            server: Err(Trouble::NotServing),
        };
        let ensemble = |text: &str| Ensemble {
            membership: Some(Membership::parse(text, true).unwrap()),
            members: (1..=4).map(member).collect(),
            ..Ensemble::default()
        };
        let three = ensemble(text);
        assert!((1..=4).all(|id| three.has_quorum_without(&member(id))));
        let two = ensemble("server.1=a:1:2\nserver.2=b:1:2\nserver.4=d:1:2:observer\n");
        assert!(!two.has_quorum_without(&member(1)));
        assert!(two.has_quorum_without(&member(4)));
        let weighty = ensemble(&format!(
            "{text}group.1=1:2:3\nweight.1=3\nweight.2=1\nweight.3=1\n"
        ));
        assert!(!weighty.has_quorum_without(&member(1)));
        assert!(weighty.has_quorum_without(&member(2)));
    }
}
