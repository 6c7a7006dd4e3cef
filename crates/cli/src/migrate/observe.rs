//! Looks at an ensemble: asks all members at the same time, finds out who they are.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zooid_client::{Client, Options};
use zooid_config::Membership;

use super::ask;
use super::hosts;
use super::seen::{self, Answer, Clients, Ensemble, Monitor, Seen, Server, Trouble};

/// Timeout of the sessions that are opened to see whether a member takes any.
const SESSION: Duration = Duration::from_secs(20);
/// How long opening one may take.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// How much is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// `srvr` and `mntr`.
    Quick,
    /// `hash` as well.
    Digests,
    /// `conf` and `cons` as well.
    All,
}

/// Knows where the members are, and who.
pub(super) struct Observer {
    /// Addresses, those named first.
    addresses: Vec<String>,
    /// Numbers by address, as far as they are known.
    ids: HashMap<String, i64>,
    membership: Option<Membership>,
    /// Port for clients that all have in common, if a file says so.
    client_port: Option<u16>,
    /// Port of the admin servers; `None`: they are not asked.
    admin_port: Option<u16>,
}

/// What the opening of a session brought.
struct Opened {
    id: i64,
    membership: Option<Membership>,
}

impl Observer {
    pub(super) fn new(
        addresses: Vec<String>,
        client_port: Option<u16>,
        admin_port: Option<u16>,
    ) -> Observer {
        Observer {
            addresses,
            ids: HashMap::new(),
            membership: None,
            client_port,
            admin_port,
        }
    }

    /// Asks all members whose addresses are known.
    pub(super) async fn look(&self, depth: Depth) -> Ensemble {
        let mut asked = JoinSet::new();
        for (at, address) in self.addresses.iter().enumerate() {
            let (address, admin_port) = (address.clone(), self.admin_port_of(address));
            asked.spawn(async move { (at, server(&address, admin_port, depth).await) });
        }
        let mut servers: Vec<_> = asked.join_all().await;
        servers.sort_by_key(|(at, _)| *at);
        let mut members: Vec<Seen> = servers
            .into_iter()
            .map(|(at, server)| {
                let address = self.addresses[at].clone();
                let id = self.ids.get(&address).copied();
                Seen {
                    address,
                    id,
                    server,
                }
            })
            .collect();
        members.sort_by_key(|member| (member.id.unwrap_or(i64::MAX), member.address.clone()));
        let known = |id: &i64| members.iter().any(|member| member.id == Some(*id));
        let listed = self.membership.iter().flat_map(|all| all.members.keys());
        let unknown = listed.copied().filter(|id| !known(id)).collect();
        Ensemble {
            members,
            unknown,
            membership: self.membership.clone(),
            ..Ensemble::default()
        }
    }

    /// Of several servers on one host one has the port, and nobody knows which.
    fn admin_port_of(&self, address: &str) -> Option<u16> {
        let host = hosts::host_of(address);
        let same = |other: &&String| hosts::host_of(other) == host;
        self.admin_port
            .filter(|_| self.addresses.iter().filter(same).count() == 1)
    }

    /// Opens a session at each member, and ends it: that tells the numbers of the members, the list of
    /// members, and who takes no session. It is two transactions for each member, and leaves nothing.
    /// Gives the members that took none, with the reason.
    pub(super) async fn identify(&mut self) -> Vec<(String, String)> {
        // Who does not serve takes no session, and would be waited for.
        let seen = self.look(Depth::Quick).await;
        let serving = seen.serving().map(|(member, _)| member.address.clone());
        let mut refused = self.open_sessions(serving.collect()).await;
        // Members that nobody has named.
        let lines = self.membership.iter().flat_map(|all| all.members.values());
        let mut more = Vec::new();
        for line in lines {
            let Some(address) = hosts::client_address(line, self.client_port) else {
                continue;
            };
            if self.addresses.contains(&address) {
                // It may be down, and says nothing itself.
                self.ids.entry(address).or_insert(line.id);
            } else if !self.ids.values().any(|id| *id == line.id) {
                self.ids.insert(address.clone(), line.id);
                more.push(address);
            }
        }
        self.by_elimination(&more);
        more.retain(|address| self.ids.contains_key(address));
        self.addresses.extend(more.iter().cloned());
        if !more.is_empty() {
            refused.extend(self.open_sessions(more).await);
        }
        refused
    }

    /// One silent address and one member without one belong together, whatever its line says: hosts
    /// have many names.
    fn by_elimination(&mut self, guessed: &[String]) {
        let Some(membership) = &self.membership else {
            return;
        };
        let nameless: Vec<&String> = self
            .addresses
            .iter()
            .filter(|address| !self.ids.contains_key(*address))
            .collect();
        let certain = |id: &i64| {
            self.ids
                .iter()
                .any(|(address, own)| own == id && !guessed.contains(address))
        };
        let open: Vec<i64> = membership
            .members
            .keys()
            .copied()
            .filter(|id| !certain(id))
            .collect();
        if let ([address], [id]) = (nameless.as_slice(), open.as_slice()) {
            let (address, id) = ((*address).clone(), *id);
            self.ids.retain(|_, own| *own != id);
            self.ids.insert(address, id);
        }
    }

    async fn open_sessions(&mut self, addresses: Vec<String>) -> Vec<(String, String)> {
        let mut opening = JoinSet::new();
        for address in addresses {
            opening.spawn(async move {
                let opened = open(&address).await;
                (address, opened)
            });
        }
        let mut refused = Vec::new();
        let mut members: Vec<(String, i64)> = Vec::new();
        for (address, opened) in opening.join_all().await {
            match opened {
                Ok(Opened { id, membership }) => {
                    members.push((address, id));
                    // The newest, should they differ.
                    if membership.as_ref().map(|new| new.version)
                        >= self.membership.as_ref().map(|own| own.version)
                    {
                        self.membership = membership;
                    }
                }
                Err(why) => refused.push((address, why)),
            }
        }
        for (address, id) in members {
            // A session number has the low eight bits of the number of its server.
            let listed = self.membership.iter().flat_map(|all| all.members.keys());
            let mut fitting = listed.copied().filter(|one| one & 0xff == id);
            if let (Some(only), None) = (fitting.next(), fitting.next()) {
                self.ids.insert(address, only);
            }
        }
        refused.sort();
        refused
    }
}

async fn open(address: &str) -> Result<Opened, String> {
    let options = Options {
        session_timeout: SESSION,
        patience: Duration::ZERO,
        ..Options::default()
    };
    let talk = async {
        let client = Client::connect(address, options)
            .await
            .map_err(|error| error.to_string())?;
        let id = (client.credentials().id >> 56) & 0xff;
        let config = client.get_config().await;
        let _ = timeout(HANDSHAKE / 4, client.close()).await;
        let membership = config.ok().and_then(|(data, _)| {
            let text = String::from_utf8_lossy(data.as_deref()?).into_owned();
            let membership = Membership::parse(&text, true).ok()?;
            (!membership.members.is_empty()).then_some(membership)
        });
        Ok(Opened { id, membership })
    };
    match timeout(HANDSHAKE, talk).await {
        Ok(opened) => opened,
        Err(_) => Err("a session could not be opened in time".to_owned()),
    }
}

async fn server(address: &str, admin_port: Option<u16>, depth: Depth) -> Result<Server, Trouble> {
    let silent = |error: std::io::Error| Trouble::Silent(error.to_string());
    let text = match ask::word(address, "srvr zooid\n").await.map_err(silent)? {
        // A server that closes before it has read all may lose its answer that way.
        text if text.is_empty() => ask::word(address, "srvr").await.map_err(silent)?,
        text => text,
    };
    if text.is_empty() {
        let what = "closes the connection without an answer: does this port want TLS?";
        return Err(Trouble::Stranger(what.to_owned()));
    }
    let mut server = seen::srvr(&text)?;
    let host = hosts::host_of(address).to_owned();
    let admin = Admin {
        host,
        port: admin_port,
    };
    server.monitor = match told(ask::word(address, "mntr").await) {
        Answer::Told(text) => Answer::Told(Monitor::parse(&text)),
        Answer::NotAllowed => admin.monitor(&server).await,
        Answer::Missing => Answer::Missing,
    };
    if depth >= Depth::Digests {
        server.digests = match told(ask::word(address, "hash").await) {
            Answer::Told(text) => Answer::Told(seen::digests(&text)),
            Answer::NotAllowed => admin.digests(&server).await,
            Answer::Missing => Answer::Missing,
        };
    }
    if depth >= Depth::All {
        server.conf = map(told(ask::word(address, "conf").await), seen::pairs);
        server.clients = map(told(ask::word(address, "cons").await), Clients::parse);
    }
    Ok(server)
}

fn told(answer: std::io::Result<String>) -> Answer<String> {
    match answer {
        Ok(text) if text.contains("is not executed because it is not in the whitelist") => {
            Answer::NotAllowed
        }
        Ok(text) if text.starts_with("This ZooKeeper instance is not") => Answer::Missing,
        Ok(text) => Answer::Told(text),
        Err(_) => Answer::Missing,
    }
}

fn map<T>(answer: Answer<String>, read: impl FnOnce(&str) -> T) -> Answer<T> {
    match answer {
        Answer::Told(text) => Answer::Told(read(&text)),
        Answer::NotAllowed => Answer::NotAllowed,
        Answer::Missing => Answer::Missing,
    }
}

/// The admin server of a member, which is asked where a word is not allowed.
struct Admin {
    host: String,
    port: Option<u16>,
}

impl Admin {
    /// `monitor`, if it is of a server in the same role.
    async fn monitor(&self, server: &Server) -> Answer<Monitor> {
        let Some(json) = self.get("monitor").await else {
            return Answer::NotAllowed;
        };
        let Some(values) = json.as_object() else {
            return Answer::NotAllowed;
        };
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let values: BTreeMap<String, String> = values
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
            .collect();
        let same = values.get("server_state") == Some(&server.mode);
        if same {
            Answer::Told(Monitor(values))
        } else {
            Answer::NotAllowed
        }
    }

    async fn digests(&self, server: &Server) -> Answer<BTreeMap<i64, i64>> {
        if self.monitor(server).await == Answer::NotAllowed {
            return Answer::NotAllowed;
        }
        let json = self.get("hash").await;
        let Some(list) = json
            .as_ref()
            .and_then(|json| json.get("digests")?.as_array())
        else {
            return Answer::NotAllowed;
        };
        let pair = |one: &Value| Some((one.get("zxid")?.as_i64()?, one.get("digest")?.as_i64()?));
        Answer::Told(list.iter().filter_map(pair).collect())
    }

    async fn get(&self, command: &str) -> Option<Value> {
        ask::admin(&self.host, self.port?, command).await
    }
}
