//! The task that gives a [`Session`] sockets and a clock.

use std::collections::HashMap;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use zooid_proto::ops::Request;

use crate::error::{Attempt, Error, Loss};
use crate::session::{Output, Reply, Session};
use crate::types::{SessionCredentials, SessionState, WatchedEvent};
use crate::watches::WatcherId;

/// Requests without a reply, above which no more are taken: the callers wait instead.
const MAX_OUTSTANDING: usize = 8192;
/// Commands taken before bytes are written, so that pipelined requests share a write.
const COMMANDS_PER_WRITE: usize = 256;
/// Pause after all servers have failed; doubles up to the second value.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection that broke sooner counts as a failure, so that a server that closes each of them
/// is not asked without pause.
const LASTING: Duration = Duration::from_secs(1);

/// What handles ask of the task.
pub(crate) enum Command {
    Request(Box<Asked>),
    /// Ends the session at the server.
    Close(oneshot::Sender<()>),
    /// Ends the connection only.
    Abandon,
}

/// A request with those who wait for what comes of it.
pub(crate) struct Asked {
    pub(crate) request: Request<'static>,
    pub(crate) reply: oneshot::Sender<Result<Reply, Loss>>,
    pub(crate) watcher: Option<(WatcherId, Sink)>,
}

/// Where the events of a watch go.
pub(crate) enum Sink {
    Once(oneshot::Sender<WatchedEvent>),
    Stream(mpsc::Sender<WatchedEvent>),
}

/// What handles can see of the session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) state: SessionState,
    pub(crate) credentials: SessionCredentials,
    pub(crate) timeout_ms: u64,
    pub(crate) server: Option<SocketAddr>,
}

/// What a request is submitted with.
#[derive(Debug)]
enum Ticket {
    Asked {
        reply: oneshot::Sender<Result<Reply, Loss>>,
        watcher: Option<WatcherId>,
    },
    Close(oneshot::Sender<()>),
}

/// The other ends of what handles hold.
pub(crate) struct Wires {
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) forget: mpsc::UnboundedReceiver<WatcherId>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) events: broadcast::Sender<SessionState>,
    pub(crate) first: oneshot::Sender<Result<(), Error>>,
}

pub(crate) struct Driver {
    session: Session<Ticket>,
    hosts: Vec<Host>,
    next_host: usize,
    /// Attempts since the last connection that lasted.
    failures: usize,
    /// How long the first connection is tried after each server has failed once.
    patience: Duration,
    connect_timeout: Duration,
    start: Instant,
    commands: mpsc::Receiver<Command>,
    handles_gone: bool,
    abandoned: bool,
    forget: mpsc::UnboundedReceiver<WatcherId>,
    sinks: HashMap<WatcherId, Sink>,
    status: watch::Sender<Status>,
    events: broadcast::Sender<SessionState>,
    first: Option<oneshot::Sender<Result<(), Error>>>,
    server: Option<SocketAddr>,
}

struct Host {
    address: String,
    failure: Option<Attempt>,
}

impl Driver {
    pub(crate) fn new(
        session_config: crate::session::SessionConfig,
        mut hosts: Vec<String>,
        patience: Duration,
        wires: Wires,
    ) -> Driver {
        shuffle(&mut hosts);
        let hosts = hosts
            .into_iter()
            .map(|address| Host {
                address,
                failure: None,
            })
            .collect();
        Driver {
            session: Session::new(session_config),
            hosts,
            next_host: 0,
            failures: 0,
            patience,
            connect_timeout: Duration::from_millis(session_config.handshake_ms),
            start: Instant::now(),
            commands: wires.commands,
            handles_gone: false,
            abandoned: false,
            forget: wires.forget,
            sinks: HashMap::new(),
            status: wires.status,
            events: wires.events,
            first: Some(wires.first),
            server: None,
        }
    }

    /// Runs until the session is over or abandoned, or until the first connection fails for good.
    pub(crate) async fn run(mut self) {
        while !self.is_over() {
            if let Some(stream) = self.connect().await {
                self.serve(stream).await;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.abandoned || self.session.state().is_final()
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).expect("uptime fits")
    }

    fn deadline(&self) -> Instant {
        match self.session.poll_timeout() {
            Some(ms) => self.start + Duration::from_millis(ms),
            // Nothing to wait for; any far time will do.
            None => Instant::now() + Duration::from_secs(3600),
        }
    }

    /// Tries the next server, after a pause if all have failed.
    async fn connect(&mut self) -> Option<TcpStream> {
        if self.failures > 0 && self.failures.is_multiple_of(self.hosts.len()) {
            let rounds = self.failures / self.hosts.len();
            let pause = FIRST_PAUSE * 2u32.pow(rounds.min(10) as u32 - 1);
            self.meanwhile(tokio::time::sleep(pause.min(LONGEST_PAUSE)))
                .await?;
        }
        let at = self.next_host;
        self.next_host = (at + 1) % self.hosts.len();
        let address = self.hosts[at].address.clone();
        let limit = self.connect_timeout;
        let attempt = async move {
            match timeout(limit, open(&address)).await {
                Ok(result) => result,
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no answer within {} ms", limit.as_millis()),
                )),
            }
        };
        match self.meanwhile(attempt).await? {
            Ok(stream) => {
                self.server = stream.peer_addr().ok();
                let now_ms = self.now_ms();
                self.session.connected(now_ms);
                Some(stream)
            }
            Err(error) => {
                let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                self.failed(at, sentence(&error), refused);
                None
            }
        }
    }

    fn failed(&mut self, at: usize, reason: String, refused: bool) {
        let host = &mut self.hosts[at];
        tracing::debug!(address = host.address, reason, "not connected");
        host.failure = Some(Attempt {
            address: host.address.clone(),
            reason,
            refused,
        });
        self.failures += 1;
        let tried = self.failures >= self.hosts.len();
        if tried
            && self.start.elapsed() >= self.patience
            && let Some(first) = self.first.take()
        {
            let attempts = self.hosts.iter().filter_map(|h| h.failure.clone());
            let attempts = attempts.collect();
            let _ = first.send(Err(Error::Connect { attempts }));
            self.abandoned = true;
        }
    }

    /// Waits for `future` without leaving handles and the session alone. `None`: the session is
    /// over.
    async fn meanwhile<F: Future>(&mut self, future: F) -> Option<F::Output> {
        tokio::pin!(future);
        loop {
            let deadline = self.deadline();
            tokio::select! {
                result = &mut future => return Some(result),
                command = self.commands.recv(), if self.takes_commands() => self.take(command),
                Some(id) = self.forget.recv() => self.forget(id),
                () = sleep_until(deadline) => self.session.handle_timeout(self.now_ms()),
            }
            let _ = self.hand_out();
            if self.is_over() {
                return None;
            }
        }
    }

    /// Works on one connection until it breaks or the session is over.
    async fn serve(&mut self, mut stream: TcpStream) {
        let at = (self.next_host + self.hosts.len() - 1) % self.hosts.len();
        let (mut reader, mut writer) = stream.split();
        let mut received = BytesMut::with_capacity(64 * 1024);
        let mut sending = Vec::new();
        let mut sent = 0;
        let begin = Instant::now();
        loop {
            if let Some(reason) = self.hand_out() {
                if begin.elapsed() >= LASTING {
                    self.failures = 0;
                } else if !self.is_over() {
                    self.failed(at, reason, false);
                }
                return;
            }
            if self.is_over() {
                return;
            }
            if sent == sending.len() {
                sending.clear();
                sent = 0;
            }
            if sending.is_empty() {
                self.session.take_bytes(&mut sending);
            }
            let deadline = self.deadline();
            tokio::select! {
                result = reader.read_buf(&mut received) => match result {
                    Ok(0) => self.session.disconnected("the server closed the connection"),
                    Ok(_) => {
                        let now_ms = self.now_ms();
                        self.session.receive(&received, now_ms);
                        received.clear();
                    }
                    Err(error) => self.session.disconnected(sentence(&error)),
                },
                result = writer.write(&sending[sent..]), if sent < sending.len() => match result {
                    Ok(n) => sent += n,
                    // What the server said before it closed is still to be read: a refusal, or
                    // replies. The end of that comes by the other way.
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                        sent = sending.len();
                    }
                    Err(error) => self.session.disconnected(sentence(&error)),
                },
                command = self.commands.recv(), if self.takes_commands() => {
                    self.take(command);
                    for _ in 0..COMMANDS_PER_WRITE {
                        match self.commands.try_recv() {
                            Ok(command) => self.take(Some(command)),
                            Err(_) => break,
                        }
                    }
                }
                Some(id) = self.forget.recv() => self.forget(id),
                () = sleep_until(deadline) => self.session.handle_timeout(self.now_ms()),
            }
        }
    }

    fn takes_commands(&self) -> bool {
        !self.handles_gone && self.session.outstanding() < MAX_OUTSTANDING
    }

    fn take(&mut self, command: Option<Command>) {
        let now_ms = self.now_ms();
        match command {
            Some(Command::Request(asked)) => {
                let watcher = asked.watcher.map(|(id, sink)| {
                    self.sinks.insert(id, sink);
                    id
                });
                let reply = asked.reply;
                let ticket = Ticket::Asked { reply, watcher };
                self.session.submit(&asked.request, ticket, watcher, now_ms);
            }
            Some(Command::Close(done)) => self.session.close(Some(Ticket::Close(done)), now_ms),
            Some(Command::Abandon) => self.abandoned = true,
            // Nobody can use the session any more.
            None => {
                self.handles_gone = true;
                self.session.close(None, now_ms);
            }
        }
    }

    fn forget(&mut self, id: WatcherId) {
        self.sinks.remove(&id);
        self.session.forget(id);
    }

    /// Gives what came out of the session to those who wait for it. `Some`: the connection is of
    /// no use any more, and why.
    fn hand_out(&mut self) -> Option<String> {
        let mut broken = None;
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Reply { ticket, result } => self.answer(ticket, result),
                Output::Event { watchers, event } => {
                    for id in watchers {
                        self.tell(id, event.clone());
                    }
                }
                Output::State(state) => self.new_state(state),
                Output::Disconnect { reason } => {
                    tracing::debug!(server = ?self.server, reason, "disconnected");
                    broken = Some(reason);
                }
            }
        }
        broken
    }

    fn answer(&mut self, ticket: Ticket, result: Result<Reply, Loss>) {
        match ticket {
            Ticket::Close(done) => drop(done.send(())),
            Ticket::Asked { reply, watcher } => {
                let taken = reply.send(result).is_ok();
                if let Some(id) = watcher
                    && (!taken || !self.session.is_watching(id))
                {
                    self.forget(id);
                }
            }
        }
    }

    fn tell(&mut self, id: WatcherId, event: WatchedEvent) {
        let gone = match self.sinks.remove(&id) {
            None => true,
            Some(Sink::Once(sink)) => {
                let _ = sink.send(event);
                false
            }
            Some(Sink::Stream(sink)) => {
                let last = event.kind.is_removal();
                let taken = sink.try_send(event).is_ok();
                if taken && !last {
                    self.sinks.insert(id, Sink::Stream(sink));
                }
                !taken
            }
        };
        if gone {
            self.session.forget(id);
        }
    }

    fn new_state(&mut self, state: SessionState) {
        self.status.send_replace(Status {
            state,
            credentials: self.session.credentials(),
            timeout_ms: self.session.timeout_ms(),
            server: self.server.filter(|_| state.is_connected()),
        });
        let _ = self.events.send(state);
        // Behind the status: who waits for the connection may look at it next.
        if state.is_connected()
            && let Some(first) = self.first.take()
        {
            let _ = first.send(Ok(()));
        }
        if state.is_final() {
            // Whoever waits for an event learns of the end by the lost sender.
            self.sinks.clear();
            if let Some(first) = self.first.take() {
                let loss = match state {
                    SessionState::Expired => Loss::Expired,
                    SessionState::AuthFailed => Loss::AuthFailed,
                    _ => Loss::Closed,
                };
                let _ = first.send(Err(Error::Lost {
                    op: "Connect",
                    path: "/".into(),
                    loss,
                }));
            }
        }
    }
}

async fn open(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    // A connect to a free port of this machine can meet itself when the system picks the same
    // port for this end.
    if stream.peer_addr()? == stream.local_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The system's message without its number.
fn sentence(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

/// Another order in each process, so that clients spread over the servers.
fn shuffle(hosts: &mut [String]) {
    let seed = RandomState::new();
    hosts.sort_by_cached_key(|host| seed.hash_one(host));
}
