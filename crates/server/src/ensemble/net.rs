//! Connections to other members: a reader and a writer task for each. What arrives goes to the core
//! with a permit for its bytes, so that a peer which sends faster than the core takes is not read.

use super::remarks::FIRST_BYTES;
use crate::net::clients;
use crate::state::CoreInput;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use zooid_node::Shared;
use zooid_node::transfer::Outgoing;
use zooid_proto::quorum::FromLeader;
use zooid_store::scan::LogScan;
use zooid_store::{DataDirs, Files, StoreError};
use zooid_zab::{ConnId, Port};

/// Bytes of one connection that may wait for the core.
const UNREAD_BYTES: usize = 4 << 20;

/// Bytes read with one call, at most.
const READ_STEP: usize = 64 << 10;

/// Bytes gathered into one write, about.
const WRITE_STEP: usize = 256 << 10;

/// Bytes that may wait for a peer that does not read. A snapshot in transfer does not count; what
/// is committed meanwhile does.
const MAX_QUEUED_BYTES: usize = 512 << 20;

/// The same on the election port, where a whole election is a few hundred bytes.
const MAX_QUEUED_VOTES: usize = 1 << 20;

/// Nodes of a state that are sent with one hold of the tree.
const NODES_PER_HOLD: usize = 256;

/// When the next address of a member is tried beside one that has not answered.
const NEXT_ADDRESS: Duration = Duration::from_millis(50);

/// How long the last bytes of a connection may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What happens on the wire.
pub enum PeerEvent {
    /// A peer has connected.
    Accepted(ConnId, Port, LinkHandle),
    /// A peer was reached.
    Dialed(ConnId, LinkHandle),
    /// Bytes have come; the permit is for the room that they take.
    Bytes(ConnId, Vec<u8>, OwnedSemaphorePermit),
    /// The connection is gone, or was not to be had.
    Closed(ConnId),
}

/// The core's end of a connection.
pub struct LinkHandle {
    jobs: UnboundedSender<Job>,
    queued: Arc<AtomicUsize>,
    max_queued: usize,
    reader: AbortHandle,
    writer: AbortHandle,
    /// Who is at the other end.
    pub(super) about: About,
}

/// What is known of a connection. It may outlive it.
#[derive(Clone)]
pub struct About {
    port: Port,
    peer: Option<SocketAddr>,
    /// Bytes of states and logs that have left.
    fed: Arc<AtomicU64>,
    /// What came first, to name who speaks.
    pub(super) first: Vec<u8>,
}

enum Job {
    Bytes(Vec<u8>),
    Snapshot(Box<Outgoing>),
    Log { after: i64, upto: i64 },
    Close,
}

impl LinkHandle {
    /// Sends bytes; `false` if too many wait already, and the connection is to be given up.
    pub fn send(&self, bytes: Vec<u8>) -> bool {
        let before = self.queued.fetch_add(bytes.len(), Ordering::Relaxed);
        let fits = before <= self.max_queued;
        // One whose writer has ended is about to be told of.
        let _ = self.jobs.send(Job::Bytes(bytes));
        fits
    }

    /// Sends a whole state.
    pub fn send_snapshot(&self, outgoing: Outgoing) {
        let _ = self.jobs.send(Job::Snapshot(Box::new(outgoing)));
    }

    /// Sends transactions from the log.
    pub fn send_log(&self, after: i64, upto: i64) {
        let _ = self.jobs.send(Job::Log { after, upto });
    }

    /// Closes the connection behind what was sent.
    pub fn close(&self) {
        let _ = self.jobs.send(Job::Close);
    }

    /// Ends the connection at once: what waits for a peer that is gone, or does not read, goes with it.
    pub fn cut(self) -> About {
        self.writer.abort();
        self.about.clone()
    }
}

impl Drop for LinkHandle {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl About {
    /// Who is at the other end, and on which port.
    pub fn peer(&self) -> String {
        let port = match self.port {
            Port::Election => "election",
            Port::Quorum => "quorum",
            Port::ObserverMaster => "observer master",
        };
        match self.peer {
            Some(peer) => format!("{peer} ({port} port)"),
            None => format!("one that is gone ({port} port)"),
        }
    }

    /// Bytes of states and logs that have left.
    pub fn fed(&self) -> u64 {
        self.fed.load(Ordering::Relaxed)
    }

    /// Keeps what comes first.
    pub(super) fn keep_first(&mut self, bytes: &[u8]) {
        let room = FIRST_BYTES - self.first.len();
        if room > 0 {
            self.first
                .extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
    }
}

/// What connections need of the server.
#[derive(Clone)]
pub struct Net {
    /// The way into the core.
    pub core: UnboundedSender<CoreInput>,
    /// The state that is sent.
    pub shared: Arc<Shared>,
    /// Where the log is.
    pub dirs: DataDirs,
    /// The disk.
    pub files: Arc<dyn Files>,
    /// TCP keep-alive on connections for votes (`tcpKeepAlive`).
    pub keep_alive: bool,
    /// How long what is sent on such a connection may be without an answer of the other machine before
    /// it is closed, so that another address is tried. `None`: as the system has it.
    pub reachability: Option<Duration>,
    /// Whether a member has several addresses now: otherwise there is none to try.
    pub several: Arc<AtomicBool>,
}

impl Net {
    /// Accepts peers until the runtime ends.
    pub async fn accept(self, listener: TcpListener, port: Port, next: Arc<AtomicUsize>) {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                    let conn = ConnId::accepted(number);
                    self.clone().start(stream, conn, port, |handle| {
                        PeerEvent::Accepted(conn, port, handle)
                    });
                }
                Err(error) => {
                    tracing::error!(%error, "a member's connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Connects to the first of the addresses that answers.
    pub fn dial(self, conn: ConnId, port: Port, addresses: Vec<String>, timeout: Duration) {
        tokio::spawn(async move {
            // Names are resolved anew each time.
            let reaching = reach(addresses.clone(), TcpStream::connect::<String>);
            let reached = tokio::time::timeout(timeout, reaching).await;
            match reached {
                Ok(Ok(stream)) => self.start(stream, conn, port, |h| PeerEvent::Dialed(conn, h)),
                Ok(Err(error)) => {
                    tracing::debug!(?addresses, %error, "a member is not to be reached");
                    self.tell(PeerEvent::Closed(conn));
                }
                Err(_) => {
                    tracing::debug!(?addresses, "a member is not to be reached in time");
                    self.tell(PeerEvent::Closed(conn));
                }
            }
        });
    }

    fn tell(&self, event: PeerEvent) {
        let _ = self.core.send(CoreInput::Peer(event));
    }

    fn start(
        self,
        stream: TcpStream,
        conn: ConnId,
        port: Port,
        event: impl FnOnce(LinkHandle) -> PeerEvent,
    ) {
        let several = self.several.load(Ordering::Relaxed);
        let reachability = self.reachability.filter(|_| several);
        prepare(&stream, port, self.keep_alive, reachability);
        let peer = stream.peer_addr().ok();
        let (from, to) = stream.into_split();
        let (jobs, inbox) = unbounded_channel();
        let queued = Arc::new(AtomicUsize::new(0));
        let fed = Arc::new(AtomicU64::new(0));
        // The reader waits for the core to know of the connection.
        let (known, ready) = tokio::sync::oneshot::channel::<()>();
        let net = self.clone();
        let reader = tokio::spawn(async move {
            let _ = ready.await;
            net.read(from, conn).await;
            net.tell(PeerEvent::Closed(conn));
        });
        // The writer has nothing to do, or to tell, before the core gives it something.
        let net = self.clone();
        let (waiting, leaving) = (queued.clone(), fed.clone());
        let writer = tokio::spawn(async move {
            if net.write(to, inbox, &waiting, &leaving).await.is_err() {
                net.tell(PeerEvent::Closed(conn));
            }
        });
        let handle = LinkHandle {
            jobs,
            queued,
            max_queued: match port {
                Port::Election => MAX_QUEUED_VOTES,
                Port::Quorum | Port::ObserverMaster => MAX_QUEUED_BYTES,
            },
            reader: reader.abort_handle(),
            writer: writer.abort_handle(),
            about: About {
                port,
                peer,
                fed,
                first: Vec::new(),
            },
        };
        self.tell(event(handle));
        let _ = known.send(());
    }

    async fn read(&self, mut from: OwnedReadHalf, conn: ConnId) {
        let room = Arc::new(Semaphore::new(UNREAD_BYTES));
        let mut buffer = vec![0; READ_STEP];
        while let Ok(read) = from.read(&mut buffer).await {
            if read == 0 {
                return;
            }
            let Ok(permit) = room.clone().acquire_many_owned(read as u32).await else {
                return;
            };
            self.tell(PeerEvent::Bytes(conn, buffer[..read].to_vec(), permit));
        }
    }

    async fn write(
        &self,
        mut to: OwnedWriteHalf,
        mut inbox: UnboundedReceiver<Job>,
        queued: &AtomicUsize,
        fed: &AtomicU64,
    ) -> io::Result<()> {
        let mut out = Vec::new();
        while let Some(job) = inbox.recv().await {
            let mut job = Some(job);
            while let Some(now) = job.take() {
                match now {
                    Job::Bytes(bytes) => {
                        queued.fetch_sub(bytes.len(), Ordering::Relaxed);
                        if out.is_empty() {
                            out = bytes;
                        } else {
                            out.extend_from_slice(&bytes);
                        }
                        if out.len() < WRITE_STEP {
                            job = inbox.try_recv().ok();
                        }
                        continue;
                    }
                    Job::Snapshot(mut outgoing) => {
                        flush(&mut to, &mut out).await?;
                        while outgoing
                            .step(&self.shared, NODES_PER_HOLD, &mut out)
                            .map_err(|_| io::ErrorKind::Interrupted)?
                        {
                            fed.fetch_add(out.len() as u64, Ordering::Relaxed);
                            flush(&mut to, &mut out).await?;
                        }
                    }
                    Job::Log { after, upto } => {
                        flush(&mut to, &mut out).await?;
                        self.send_log(&mut to, after, upto, fed).await?;
                    }
                    Job::Close => {
                        let end = async {
                            flush(&mut to, &mut out).await?;
                            to.shutdown().await
                        };
                        let _ = tokio::time::timeout(LAST_WORDS, end).await;
                        return Ok(());
                    }
                }
            }
            flush(&mut to, &mut out).await?;
        }
        Ok(())
    }

    /// Reads the log in a thread and sends what it gives.
    async fn send_log(
        &self,
        to: &mut OwnedWriteHalf,
        after: i64,
        upto: i64,
        fed: &AtomicU64,
    ) -> io::Result<()> {
        let (parts, mut inbox) = tokio::sync::mpsc::channel(2);
        let (files, dirs) = (self.files.clone(), self.dirs.clone());
        let reading = tokio::task::spawn_blocking(move || {
            read_log(&*files, &dirs, after, upto, |part| {
                parts.blocking_send(part).is_ok()
            })
        });
        while let Some(part) = inbox.recv().await {
            fed.fetch_add(part.len() as u64, Ordering::Relaxed);
            to.write_all(&part).await?;
        }
        match reading.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::error!(%error, after = format_args!("0x{after:x}"), "the log could not be read for a learner");
                Err(io::Error::other(error))
            }
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

/// What the system is asked to do for a connection.
fn prepare(stream: &TcpStream, port: Port, keep_alive: bool, reachability: Option<Duration>) {
    let _ = stream.set_nodelay(true);
    if port != Port::Election {
        // Java asks nothing for the others: a leader and its learners talk all the time.
        return;
    }
    let socket = socket2::SockRef::from(stream);
    let _ = socket.set_keepalive(keep_alive);
    #[cfg(target_os = "linux")]
    if reachability.is_some() {
        let _ = socket.set_tcp_user_timeout(reachability);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = reachability;
}

async fn flush(to: &mut OwnedWriteHalf, out: &mut Vec<u8>) -> io::Result<()> {
    if !out.is_empty() {
        to.write_all(out).await?;
        out.clear();
        if out.capacity() > 4 * WRITE_STEP {
            *out = Vec::new();
        }
    }
    Ok(())
}

/// Hands on the transactions behind `after` up to `upto` as a leader sends them to a learner:
/// PROPOSAL and COMMIT for each.
fn read_log(
    files: &dyn Files,
    dirs: &DataDirs,
    after: i64,
    upto: i64,
    mut send: impl FnMut(Vec<u8>) -> bool,
) -> Result<(), StoreError> {
    let logs = dirs.logs(files)?;
    let mut scan = LogScan::new(files, logs, after + 1, Some(after), i32::MAX as usize);
    let mut part = Vec::new();
    let mut last = after;
    while last < upto && scan.advance()? {
        let Some(entry) = scan.entry() else {
            break;
        };
        if entry.zxid <= last {
            continue;
        }
        last = entry.zxid;
        let txn = entry.payload.into();
        let zxid = entry.zxid;
        FromLeader::Proposal { zxid, txn }.encode(&mut part);
        FromLeader::Commit { zxid }.encode(&mut part);
        if part.len() >= WRITE_STEP && !send(std::mem::take(&mut part)) {
            return Ok(());
        }
    }
    if !part.is_empty() {
        send(part);
    }
    if last < upto {
        return Err(StoreError::Truncate {
            zxid: upto,
            what: format!("the log ends at {last:#x}"),
        });
    }
    Ok(())
}

/// The first of the addresses that answers. One that is silent holds up the next for a moment only;
/// where the first answers, the others see nothing.
async fn reach<S, C>(addresses: Vec<String>, connect: impl Fn(String) -> C) -> io::Result<S>
where
    S: Send + 'static,
    C: Future<Output = io::Result<S>> + Send + 'static,
{
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no address");
    let mut untried = addresses.into_iter();
    let mut trying = JoinSet::new();
    loop {
        if let Some(address) = untried.next() {
            trying.spawn(connect(address));
        } else if trying.is_empty() {
            return Err(last);
        }
        let pause = tokio::time::sleep(NEXT_ADDRESS);
        tokio::pin!(pause);
        let tried = tokio::select! {
            Some(tried) = trying.join_next() => tried,
            () = &mut pause, if untried.len() > 0 => continue,
        };
        match tried {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(error) => last = io::Error::other(error),
        }
    }
}

/// Opens a port for members.
pub async fn listen(host: Option<&str>, port: u16) -> io::Result<TcpListener> {
    clients::listen(host, port, 0).await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answer(address: String) -> io::Result<String> {
        match address.as_str() {
            "silent" => std::future::pending().await,
            "refused" => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(address),
        }
    }

    #[tokio::test]
    async fn connections_for_votes_are_watched_as_the_settings_say() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let patience = Some(Duration::from_millis(1234));
        for (port, keep_alive, reachability) in [
            (Port::Election, true, patience),
            (Port::Election, false, None),
            (Port::Quorum, false, None),
        ] {
            let address = listener.local_addr().unwrap();
            let stream = TcpStream::connect(address).await.unwrap();
            // A port other than that for votes takes nothing of it.
            let (asked, wanted) = match port {
                Port::Election => ((keep_alive, reachability), (keep_alive, reachability)),
                _ => ((true, patience), (false, None)),
            };
            prepare(&stream, port, asked.0, asked.1);
            let socket = socket2::SockRef::from(&stream);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), wanted.0);
            #[cfg(target_os = "linux")]
            assert_eq!(socket.tcp_user_timeout().unwrap(), wanted.1);
        }
    }

    #[tokio::test]
    async fn the_first_address_that_answers_is_used() {
        for (addresses, reached) in [
            (&["a", "b"][..], Some("a")),
            (&["silent", "b"], Some("b")),
            (&["refused", "b"], Some("b")),
            (&["silent", "refused", "silent", "d"], Some("d")),
            (&["refused", "refused"], None),
            (&[], None),
        ] {
            let all = addresses.iter().map(|&address| address.to_owned());
            let got = reach(all.collect(), answer).await;
            assert_eq!(got.ok().as_deref(), reached, "{addresses:?}");
        }
    }
}
