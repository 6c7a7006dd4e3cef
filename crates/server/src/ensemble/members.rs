//! What a change of the members changes on this machine: the configuration files and the ports.

use super::net::{self, Net};
use crate::run::StartError;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use zooid_config::{ClientAddress, EnsembleConfig, Membership, Role, with_dynamic_file};
use zooid_store::error::Context;
use zooid_store::{Files, StoreError};
use zooid_zab::Port;

/// A configuration file that is longer is none.
const MAX_CONFIG_BYTES: u64 = 16 << 20;

/// How long a port waits that is not to be had.
const TRY_AGAIN: Duration = Duration::from_millis(500);

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
type Place = (Port, Option<String>, u16);

impl Ports {
    /// Opens the ports for other members. `client` is open already; when it changes, the new address
    /// goes to `moves`.
    pub fn open(
        membership: &Membership,
        ensemble: &EnsembleConfig,
        net: Net,
        client: ClientAddress,
        moves: UnboundedSender<ClientAddress>,
    ) -> Result<Ports, StartError> {
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
        for place in ports.places(membership) {
            let (port, host, number) = &place;
            let listener =
                net::listen(host.as_deref(), *number).map_err(|source| StartError::Listen {
                    address: format!("{}:{number}", host.as_deref().unwrap_or("*")),
                    source,
                    hint: "; it is the address of this member in the list of members",
                })?;
            let accepting = ports
                .net
                .clone()
                .accept(listener, *port, ports.next.clone());
            let accepting = tokio::spawn(accepting).abort_handle();
            ports.open.insert(place, accepting);
        }
        Ok(ports)
    }

    /// Follows the own line of a new list of members. Connections stay. A server that is not in the
    /// list keeps its ports: it still follows the leader.
    pub fn follow(&mut self, membership: &Membership) {
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
            if self.open.contains_key(&place) {
                continue;
            }
            let accepting = accept_late(self.net.clone(), place.clone(), self.next.clone());
            let accepting = tokio::spawn(accepting).abort_handle();
            self.open.insert(place, accepting);
        }
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
                let place = (Port::ObserverMaster, host, self.observer_master_port);
                if !places.contains(&place) {
                    places.push(place);
                }
            }
            if self.listen_on_all {
                break;
            }
        }
        places
    }
}

/// Accepts members at a new address as soon as it is to be had.
async fn accept_late(net: Net, (port, host, number): Place, next: Arc<AtomicUsize>) {
    let mut told = false;
    loop {
        match net::listen(host.as_deref(), number) {
            Ok(listener) => return net.accept(listener, port, next).await,
            Err(error) => {
                if !told {
                    tracing::error!(
                        host = host.as_deref().unwrap_or("*"),
                        port = number,
                        %error,
                        "the new address for members is not to be had yet"
                    );
                    told = true;
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zooid_store::OsFiles;

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
