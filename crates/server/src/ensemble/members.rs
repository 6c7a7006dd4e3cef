//! What a change of the members changes on this machine: the configuration files and the ports.

use super::net::{self, Net};
use crate::run::StartError;
use crate::state::CoreInput;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use zooid_config::{ClientAddress, EnsembleConfig, Membership, Role, with_dynamic_file};
use zooid_store::error::Context;
use zooid_store::{Files, StoreError};
use zooid_zab::Port;

/// A configuration file that is longer is none.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// How long a port waits that is not to be had, as in Java.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The configuration file and those that hold the members beside it.
pub struct ConfigFiles {
    path: PathBuf,
    sid: i64,
}

impl ConfigFiles {
    /// The files of the member `sid` around its configuration file.
    pub fn new(path: PathBuf, sid: i64) -> ConfigFiles {
        ConfigFiles { path, sid }
    }

    /// Keeps the configuration file as it is while the members stand in it.
    pub fn back_up(&self, files: &dyn Files) -> Result<(), StoreError> {
        let text = self.read(files)?;
        self.replace(files, &self.beside(".bak"), &text)
    }

    /// Writes the members that were proposed.
    pub fn propose(&self, files: &dyn Files, text: &str) -> Result<(), StoreError> {
        let text = self.parsed(text)?.dynamic_file(true);
        self.replace(files, &self.next(), text.as_bytes())
    }

    /// Writes the members in force: first their own file, then the name of it, so that a crash in
    /// between leaves the list before with the newer one as a proposal.
    pub fn commit(&self, files: &dyn Files, text: &str) -> Result<(), StoreError> {
        let members = self.parsed(text)?;
        let dynamic = self.beside(&format!(".dynamic.{:x}", members.version));
        self.replace(files, &dynamic, members.dynamic_file(false).as_bytes())?;
        let own = members.members.get(&self.sid);
        let erase_client = own.is_some_and(|own| own.client.is_some());
        let named = std::fs::canonicalize(&dynamic).on("find", &dynamic)?;
        let text = with_dynamic_file(&self.read(files)?, &named.to_string_lossy(), erase_client);
        self.replace(files, &self.path, &text)?;
        self.forget_proposal(files, members.version)
    }

    /// A proposal goes with its commit; a newer one stays.
    fn forget_proposal(&self, files: &dyn Files, version: i64) -> Result<(), StoreError> {
        let next = self.next();
        if files.stat(&next).on("look at", &next)?.is_none() {
            return Ok(());
        }
        let text = read_all(files, &next)?;
        let proposed = Membership::parse(&String::from_utf8_lossy(&text), true);
        if proposed.is_ok_and(|proposed| proposed.version > version) {
            return Ok(());
        }
        files.remove(&next).on("remove", &next)?;
        self.sync(files)
    }

    fn parsed(&self, text: &str) -> Result<Membership, StoreError> {
        Membership::parse(text, true)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
            .on("list members beside", &self.path)
    }

    fn read(&self, files: &dyn Files) -> Result<Vec<u8>, StoreError> {
        read_all(files, &self.path)
    }

    fn next(&self) -> PathBuf {
        self.beside(".dynamic.next")
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(ending);
        path.into()
    }

    /// A crash leaves the old or the new file.
    fn replace(&self, files: &dyn Files, path: &Path, text: &[u8]) -> Result<(), StoreError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(".tmp");
        let draft = PathBuf::from(draft);
        let mut file = files.create(&draft).on("create", &draft)?;
        file.write_at(text, 0).on("write to", &draft)?;
        file.sync_data().on("sync", &draft)?;
        drop(file);
        files.rename(&draft, path).on("rename", &draft)?;
        self.sync(files)
    }

    fn sync(&self, files: &dyn Files) -> Result<(), StoreError> {
        let dir = match self.path.parent() {
            Some(dir) if dir != Path::new("") => dir,
            _ => Path::new("."),
        };
        files.sync_dir(dir).on("sync directory", dir)
    }
}

fn read_all(files: &dyn Files, path: &Path) -> Result<Vec<u8>, StoreError> {
    let file = files.open_read(path).on("open", path)?;
    let len = file.len().on("look at", path)?.min(MAX_CONFIG_BYTES);
    let mut text = vec![0; len as usize];
    let mut done = 0;
    while done < text.len() {
        let read = file
            .read_at(&mut text[done..], done as u64)
            .on("read", path)?;
        if read == 0 {
            break;
        }
        done += read;
    }
    text.truncate(done);
    Ok(text)
}

/// The ports of a member: those for other members, and the way to the one for clients.
pub struct Ports {
    net: Net,
    sid: i64,
    listen_on_all: bool,
    /// Where observers come, if this member votes. 0: nowhere.
    observer_master_port: u16,
    /// Numbers for accepted connections.
    next: Arc<AtomicUsize>,
    open: BTreeMap<Place, AbortHandle>,
    /// What clients use now: address as in the list of members.
    client: ClientAddress,
    moves: UnboundedSender<ClientAddress>,
}

/// What a listener is for, and where it is: host, if not all, and port.
pub type Place = (Port, Option<String>, u16);

impl Ports {
    /// Opens the ports for other members. `client` is open already; when it changes, the new address
    /// goes to `moves`. What is not to be had at once is tried again: see [`Ports::given_up`].
    pub fn open(
        membership: &Membership,
        ensemble: &EnsembleConfig,
        net: Net,
        client: ClientAddress,
        moves: UnboundedSender<ClientAddress>,
    ) -> Ports {
        let mut ports = Ports {
            net,
            sid: ensemble.sid,
            listen_on_all: ensemble.listen_on_all,
            observer_master_port: ensemble.observer_master_port,
            next: Arc::default(),
            open: BTreeMap::new(),
            client,
            moves,
        };
        ports.count_addresses(membership);
        for place in ports.places(membership) {
            ports.accept(place, ensemble.bind_attempts);
        }
        ports
    }

    fn accept(&mut self, place: Place, attempts: Option<u32>) {
        let (net, next) = (self.net.clone(), self.next.clone());
        // Java's follower elects anew and tries again, without end, when observers cannot come to it.
        let attempts = attempts.filter(|_| place.0 != Port::ObserverMaster);
        let accepting = accept(net, place.clone(), next, attempts);
        let accepting = tokio::spawn(accepting).abort_handle();
        self.open.insert(place, accepting);
    }

    /// A place was not to be had, and is not tried any more. That is the end of the server unless it
    /// is reached elsewhere for the same purpose, as in Java.
    pub fn given_up(&mut self, place: &Place, source: io::Error) -> Result<(), StartError> {
        self.open.remove(place);
        if self.open.keys().any(|other| other.0 == place.0) {
            return Ok(());
        }
        let address = format!("{}:{}", host_of(place), place.2);
        Err(StartError::MemberPort { address, source })
    }

    /// Follows the own line of a new list of members. Connections stay. A server that is not in the
    /// list keeps its ports: it still follows the leader.
    pub fn follow(&mut self, membership: &Membership) {
        self.count_addresses(membership);
        let Some(own) = membership.members.get(&self.sid) else {
            return;
        };
        if let Some(client) = &own.client
            && *client != self.client
        {
            self.client = client.clone();
            // It ends with the server.
            let _ = self.moves.send(client.clone());
        }
        let places = self.places(membership);
        self.open.retain(|place, accepting| {
            let stays = places.contains(place);
            if !stays {
                accepting.abort();
            }
            stays
        });
        for place in places {
            if !self.open.contains_key(&place) {
                self.accept(place, None);
            }
        }
    }

    /// What is opened from now on is watched if there is another address to try.
    fn count_addresses(&self, membership: &Membership) {
        let mut members = membership.members.values();
        let several = members.any(|one| one.addresses.len() > 1);
        self.net.several.store(several, Ordering::Relaxed);
    }

    fn places(&self, membership: &Membership) -> Vec<Place> {
        let own = membership.members.get(&self.sid);
        let mut places = Vec::new();
        for address in own.map_or(&[][..], |own| &own.addresses) {
            let host = (!self.listen_on_all).then(|| address.host.clone());
            places.push((Port::Quorum, host.clone(), address.quorum_port));
            places.push((Port::Election, host.clone(), address.election_port));
            let votes = own.is_some_and(|own| own.role == Role::Participant);
            if votes && self.observer_master_port != 0 {
                places.push((Port::ObserverMaster, host, self.observer_master_port));
            }
        }
        // On all addresses of the machine each port is opened once.
        places.sort_unstable();
        places.dedup();
        places
    }
}

fn host_of(place: &Place) -> &str {
    place.1.as_deref().unwrap_or("*")
}

/// Accepts members at an address as soon as it is to be had. `attempts` counts the first one with.
async fn accept(net: Net, place: Place, next: Arc<AtomicUsize>, attempts: Option<u32>) {
    let mut made = 1;
    loop {
        let error = match net::listen(place.1.as_deref(), place.2).await {
            Ok(listener) => return net.accept(listener, place.0, next).await,
            Err(error) => error,
        };
        if attempts == Some(made) {
            let given_up = CoreInput::PortGivenUp(place, error);
            let _ = net.core.send(given_up);
            return;
        }
        if made == 1 {
            tracing::warn!(
                host = host_of(&place),
                port = place.2,
                attempts,
                %error,
                "an address of this member is not to be had yet; is it the one in the list of members?"
            );
        }
        tokio::time::sleep(TRY_AGAIN).await;
        made = made.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::net::PeerEvent;
    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use zooid_config::{Config, Sources};
    use zooid_node::{Now, Shared};
    use zooid_store::{DataDirs, OsFiles};
    use zooid_tree::{Tree, TreeOptions};

    const STATIC: &str = "# a comment\ntickTime=2000\nclientPort=2181\nserver.1=a:1:2\n";

    fn around(text: &str) -> (tempfile::TempDir, ConfigFiles) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("zoo.cfg");
        std::fs::write(&path, text).unwrap();
        (dir, ConfigFiles::new(path, 1))
    }

    fn names(dir: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read(dir: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(dir.path().join(name)).unwrap()
    }

    const MEMBER: &str = "initLimit=5\nsyncLimit=2\nmultiAddress.enabled=true\nserver.2=b:1:2\n";

    /// The ports of server 1, that are to be opened, and what its core hears.
    fn ports(lines: &str) -> (Ports, UnboundedReceiver<CoreInput>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("myid"), "1").unwrap();
        let text = format!("dataDir={}\n{MEMBER}{lines}", dir.path().display());
        let config = Config::load(Sources {
            text: Some(text.into_bytes()),
            ..Sources::default()
        });
        let config = config.unwrap_or_else(|error| panic!("{error}")).config;
        let (core, inputs) = unbounded_channel();
        let settings = crate::settings::of(&config);
        let net = Net {
            core,
            shared: Arc::new(Shared::new(
                settings,
                Tree::new(TreeOptions::default()),
                Now::default(),
            )),
            dirs: DataDirs::new(dir.path(), None),
            files: Arc::new(OsFiles),
            keep_alive: false,
            reachability: None,
            several: Arc::default(),
        };
        let client = ClientAddress {
            host: "0.0.0.0".into(),
            port: 0,
        };
        let ensemble = config.ensemble.unwrap();
        let members = config.membership.unwrap();
        let moves = unbounded_channel().0;
        (Ports::open(&members, &ensemble, net, client, moves), inputs)
    }

    /// Ports that are taken, on an address of the machine's own.
    fn taken(host: &str) -> (std::net::TcpListener, u16) {
        let listener = std::net::TcpListener::bind((host, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// One that is free, most probably.
    fn free(host: &str) -> u16 {
        taken(host).1
    }

    /// Connects until this member, and no other program that took the port meanwhile, has accepted.
    async fn reached(host: &str, port: u16, inputs: &mut UnboundedReceiver<CoreInput>) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        loop {
            let _connected = tokio::net::TcpStream::connect((host, port)).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            match inputs.try_recv() {
                Ok(CoreInput::Peer(_)) => return,
                Ok(CoreInput::PortGivenUp(place, error)) => panic!("{place:?}: {error}"),
                Ok(_) => panic!("only ports are open"),
                Err(_) => assert!(tokio::time::Instant::now() < deadline, "not accepted"),
            }
        }
    }

    async fn given_up(ports: &mut Ports, inputs: &mut UnboundedReceiver<CoreInput>) -> Option<u8> {
        match inputs.recv().await {
            Some(CoreInput::PortGivenUp(place, error)) => {
                let given_up = ports.given_up(&place, error);
                given_up.err().map(|error| error.exit_code())
            }
            _ => panic!("a port is not to be had"),
        }
    }

    #[tokio::test]
    async fn a_member_that_nobody_can_reach_ends() {
        let (_held, taken) = taken("127.0.0.1");
        let free = free("127.0.0.1");
        for lines in [
            format!("server.1=127.0.0.1:{free}:{taken}"),
            format!("server.1=127.0.0.1:{taken}:{free}"),
        ] {
            let (mut ports, mut inputs) = ports(&format!("{lines}\nelectionPortBindRetry=1"));
            assert_eq!(given_up(&mut ports, &mut inputs).await, Some(14), "{lines}");
        }
    }

    #[tokio::test]
    async fn one_address_is_enough() {
        let (_held, taken) = taken("127.0.0.1");
        let (q, e) = (free("127.0.0.2"), free("127.0.0.2"));
        let (mut ports, mut inputs) = ports(&format!(
            "server.1=127.0.0.1:{}:{taken}|127.0.0.2:{q}:{e}\nelectionPortBindRetry=1",
            free("127.0.0.1")
        ));
        assert_eq!(given_up(&mut ports, &mut inputs).await, None);
        reached("127.0.0.2", e, &mut inputs).await;
    }

    #[tokio::test]
    async fn a_port_that_becomes_free_is_used() {
        let (held, port) = taken("127.0.0.1");
        let line = format!("server.1=127.0.0.1:{}:{port}", free("127.0.0.1"));
        let (ports, mut inputs) = ports(&format!("{line}\nelectionPortBindRetry=0"));
        // The first attempt needs no more than its turn: the address is none to be looked up.
        tokio::task::yield_now().await;
        drop(held);
        reached("127.0.0.1", port, &mut inputs).await;
        drop(ports);
    }

    #[tokio::test]
    async fn a_port_for_observers_does_not_end_a_voter() {
        // An address that no other test uses: none takes what is to be free here.
        let host = "127.0.0.3";
        let ((held, port), (for_q, q), (for_e, e)) = (taken(host), taken(host), taken(host));
        drop((for_q, for_e));
        let (ports, mut inputs) = ports(&format!(
            "server.1={host}:{q}:{e}\nelectionPortBindRetry=1\nobserverMasterPort={port}"
        ));
        tokio::task::yield_now().await;
        drop(held);
        reached(host, port, &mut inputs).await;
        drop(ports);
    }

    #[tokio::test]
    async fn what_waits_for_a_peer_goes_with_its_connection() {
        let host = "127.0.0.4";
        let ((for_q, q), (for_e, e)) = (taken(host), taken(host));
        drop((for_q, for_e));
        let (_ports, mut inputs) = ports(&format!("server.1={host}:{q}:{e}"));
        let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
        let mut peer = loop {
            match tokio::net::TcpStream::connect((host, q)).await {
                Ok(peer) => break peer,
                Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let Some(CoreInput::Peer(PeerEvent::Accepted(_, _, handle))) = inputs.recv().await else {
            panic!("the peer is accepted");
        };
        const MUCH: usize = 64 << 20;
        handle.send(vec![0; MUCH]);
        // Of a connection that is gone the core keeps this, for as long as it likes.
        let about = handle.cut();
        let reading = async {
            let (mut all, mut buffer) = (0, vec![0; 1 << 20]);
            loop {
                match peer.read(&mut buffer).await {
                    Ok(0) | Err(_) => return all,
                    Ok(read) => all += read,
                }
            }
        };
        let read = tokio::time::timeout(Duration::from_secs(60), reading).await;
        assert!(read.expect("the connection is closed") < MUCH);
        assert!(about.peer().contains("quorum port"));
    }

    #[test]
    fn all_ports_are_opened_on_all_addresses() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let _entered = runtime.enter();
        // Nobody connects, and a port that is taken is tried again: any will do.
        let line = "server.1=127.0.0.1:61881:61883|127.0.0.2:61882:61884";
        let places = |lines: &str| {
            let (ports, _) = ports(&format!("{line}\n{lines}"));
            let places = ports.open.keys().map(|place| place.2);
            let mut places: Vec<u16> = places.collect();
            places.sort_unstable();
            places
        };
        let all = [61_881, 61_882, 61_883, 61_884];
        assert_eq!(places(""), all);
        assert_eq!(places("quorumListenOnAllIPs=true"), all);
    }

    #[test]
    fn a_proposal_is_kept_until_its_commit() {
        let (dir, config) = around(STATIC);
        config.back_up(&OsFiles).unwrap();
        let text = "server.2=b:1:2\nserver.1=a:1:2;5\nversion=1a";
        config.propose(&OsFiles, text).unwrap();
        assert_eq!(
            read(&dir, "zoo.cfg.dynamic.next"),
            "server.1=a:1:2:participant;0.0.0.0:5\nserver.2=b:1:2:participant\nversion=1a"
        );
        config.commit(&OsFiles, text).unwrap();
        assert_eq!(
            names(&dir),
            ["zoo.cfg", "zoo.cfg.bak", "zoo.cfg.dynamic.1a"]
        );
        assert_eq!(read(&dir, "zoo.cfg.bak"), STATIC);
        assert_eq!(
            read(&dir, "zoo.cfg.dynamic.1a"),
            "server.1=a:1:2:participant;0.0.0.0:5\nserver.2=b:1:2:participant"
        );
        let named = dir
            .path()
            .canonicalize()
            .unwrap()
            .join("zoo.cfg.dynamic.1a");
        assert_eq!(
            read(&dir, "zoo.cfg"),
            format!(
                "# a comment\ntickTime=2000\ndynamicConfigFile={}\n",
                named.display()
            )
        );
    }

    #[test]
    fn a_newer_proposal_outlives_a_commit() {
        let (dir, config) = around(STATIC);
        config
            .propose(&OsFiles, "server.1=a:1:2\nversion=1b")
            .unwrap();
        config
            .commit(&OsFiles, "server.1=a:1:2\nversion=1a")
            .unwrap();
        assert_eq!(
            names(&dir),
            ["zoo.cfg", "zoo.cfg.dynamic.1a", "zoo.cfg.dynamic.next"]
        );
        assert!(
            read(&dir, "zoo.cfg").contains("clientPort=2181\n"),
            "the own line has no address for clients"
        );
    }
}
