//! The client port: one task for each connection reads all that has arrived, lets the node answer,
//! and sends all answers with one write.

use crate::admin;
use crate::clock::Clock;
use crate::descriptors;
use crate::state::{CoreInput, Server};
use crate::strangers;
use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use zooid_config::ClientAddress;
use zooid_node::link::{MAX_WAITING_BYTES, MAX_WAITING_BYTES_IN_ALL};
use zooid_node::{Closing, Conn, Link, Next, Wake};

/// Bytes that one read may bring.
const READ_STEP: usize = 64 * 1024;

thread_local! {
    /// Where reads go first: a connection that waits needs no buffer of its own.
    static ARRIVED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_STEP]);
}

/// Bytes that the rest of a frame is read with at least.
const REST_STEP: usize = 8 * 1024;

/// Buffers that grew beyond this are given back when they are empty.
const KEEP_BUFFER: usize = 64 * 1024;

/// Connections waiting to be accepted, when the configuration does not say.
const DEFAULT_BACKLOG: i32 = 1024;

/// Refused connections are told no more often.
const REFUSALS_EVERY: Duration = Duration::from_secs(1);

/// How long a connection that ends waits for its client to take anything of what is left.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// Opens the client port. Without an address it is open on all, of both families where the
/// machine has both.
pub async fn listen(address: Option<&str>, port: u16, backlog: i32) -> io::Result<TcpListener> {
    let backlog = if backlog > 0 {
        backlog
    } else {
        DEFAULT_BACKLOG
    };
    let listener = match address {
        Some(host) => {
            let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            let addresses = tokio::net::lookup_host((host, port)).await?;
            { addresses }
                .find_map(|address| open(address, backlog).map_err(|error| last = error).ok())
                .ok_or(last)?
        }
        None => open((Ipv6Addr::UNSPECIFIED, port).into(), backlog)
            .or_else(|_| open((Ipv4Addr::UNSPECIFIED, port).into(), backlog))?,
    };
    TcpListener::from_std(listener)
}

fn open(address: SocketAddr, backlog: i32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Accepts connections until the runtime ends. Addresses that come from `moved` take the place of the
/// one before; connections stay.
pub async fn accept(
    mut listener: TcpListener,
    mut moved: UnboundedReceiver<ClientAddress>,
    server: Arc<Server>,
) {
    let counts = Arc::new(Counts::default());
    counts.places.lock().limit = descriptors::for_clients();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(to) = moved.recv() => {
                listener = listen_anew(listener, &to, server.config.client_port_listen_backlog).await;
                if let Ok(address) = listener.local_addr() {
                    *server.client_address.write() = address;
                }
                continue;
            }
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors, mostly. Accepting at once again would spin.
                tracing::error!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let Some(place) = counts.take(&server, peer.ip()) else {
            // As Java: no goodbye, so that the port is free again at once.
            let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
            continue;
        };
        if !cfg!(target_os = "linux") {
            // There, what is accepted has it from the socket that listens.
            let _ = stream.set_nodelay(true);
        }
        if server.config.client_tcp_keep_alive {
            let _ = SockRef::from(&stream).set_keepalive(true);
        }
        let server = server.clone();
        tokio::spawn(async move {
            let _place = place;
            serve(stream, peer, &server).await;
        });
    }
}

/// Listens at another address. Where that is not to be had, the old one stays.
async fn listen_anew(old: TcpListener, to: &ClientAddress, backlog: i32) -> TcpListener {
    let host = Some(to.host.as_str()).filter(|host| *host != "0.0.0.0");
    let before = old.local_addr();
    let mut old = Some(old);
    loop {
        match (listen(host, to.port, backlog).await, old.take()) {
            (Ok(listener), _) => {
                tracing::info!(
                    host = to.host,
                    port = to.port,
                    "clients are served at another address"
                );
                return listener;
            }
            // The old listener may be in the way: all addresses, and now one of them.
            (Err(error), Some(old))
                if error.kind() == io::ErrorKind::AddrInUse
                    && before.as_ref().is_ok_and(|before| before.port() == to.port) =>
            {
                drop(old)
            }
            (Err(error), old) => {
                tracing::error!(
                    host = to.host,
                    port = to.port,
                    %error,
                    "the new address for clients is not to be had: the old one stays"
                );
                let again = || open(*before.as_ref().ok()?, backlog).ok();
                let again = || TcpListener::from_std(again()?).ok();
                match old.or_else(again) {
                    Some(listener) => return listener,
                    None => tokio::time::sleep(Duration::from_millis(500)).await,
                }
            }
        }
    }
}

/// Connections by address.
#[derive(Default)]
struct Counts {
    places: Mutex<Places>,
    refused: Refusals,
}

#[derive(Default)]
struct Places {
    by_address: HashMap<IpAddr, u32>,
    all: u32,
    /// What the limit of open files leaves for clients, as it was last looked up.
    limit: u64,
}

/// Refused connections: told once in a while, with how many there were. Who is refused mostly tries
/// again at once, and a line for each try would fill the disk that the log of transactions needs.
#[derive(Default)]
struct Refusals {
    untold: Mutex<(u64, Option<Instant>)>,
}

impl Refusals {
    /// How many were refused since the last word, when it is time for another one.
    fn say(&self, now: Instant) -> Option<u64> {
        let mut untold = self.untold.lock();
        untold.0 += 1;
        if untold.1.is_some_and(|last| now < last + REFUSALS_EVERY) {
            return None;
        }
        untold.1 = Some(now);
        Some(std::mem::take(&mut untold.0))
    }
}

/// The place that a connection has in the counts, given back when it ends.
struct Place {
    counts: Arc<Counts>,
    address: IpAddr,
}

impl Counts {
    /// A place for a connection, unless the limits of the configuration are reached.
    fn take(self: &Arc<Self>, server: &Server, address: IpAddr) -> Option<Place> {
        let mut places = self.places.lock();
        let here = places.by_address.get(&address).copied().unwrap_or(0);
        if let Some(limit) = server
            .config
            .client_connection_limit()
            .filter(|limit| here >= *limit)
        {
            reject(server);
            if let Some(times) = self.refused.say(Instant::now()) {
                tracing::warn!(%address, limit, times, "too many connections from one address (maxClientCnxns)");
            }
            return None;
        }
        let all = places.all;
        if let Some(limit) = server.config.max_cnxns.filter(|limit| all >= *limit) {
            reject(server);
            if let Some(times) = self.refused.say(Instant::now()) {
                tracing::warn!(%address, limit, times, "too many connections (maxCnxns)");
            }
            return None;
        }
        if u64::from(all) >= places.limit {
            places.limit = descriptors::for_clients();
        }
        let limit = places.limit;
        if u64::from(all) >= limit {
            reject(server);
            if let Some(times) = self.refused.say(Instant::now()) {
                tracing::warn!(%address, limit, times, "too many connections: the limit of open files (ulimit -n) leaves no room for more");
            }
            return None;
        }
        *places.by_address.entry(address).or_default() += 1;
        places.all += 1;
        Some(Place {
            counts: self.clone(),
            address,
        })
    }
}

fn reject(server: &Server) {
    let rejected = &server.shared.stats.events.connections_rejected;
    rejected.fetch_add(1, Ordering::Relaxed);
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.counts.places.lock();
        places.all -= 1;
        if let Some(count) = places.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                places.by_address.remove(&self.address);
            }
        }
    }
}

struct NotifyTask(Arc<Notify>);

impl Wake for NotifyTask {
    fn wake(&self) {
        self.0.notify_one();
    }
}

async fn serve(mut stream: TcpStream, peer: SocketAddr, server: &Arc<Server>) {
    let notify = Arc::new(Notify::new());
    let shared = &server.shared;
    let now = server.clock.now();
    let wake = Box::new(NotifyTask(notify.clone()));
    let link = Link::new(shared.next_conn(), peer, now.wall_ms, wake);
    let link = Arc::new(link.counted_in(shared.waiting_bytes.clone()));
    shared.links.write().insert(link.id, link.clone());
    let mut conn = Conn::new(shared.clone(), link);
    let patience = Duration::from_millis(server.config.sessionless_timeout_ms);
    match drive(&mut conn, &mut stream, &notify, server, patience).await {
        Ok(End::Gone) | Err(_) => {}
        Ok(End::Closing(closing, first)) => {
            report(peer, &closing, &first);
            if matches!(closing, Closing::NotServing | Closing::ReadOnly) {
                let closed = &shared.stats.events.closed_not_serving;
                closed.fetch_add(1, Ordering::Relaxed);
            }
            if matches!(closing, Closing::Overflow) {
                // Whoever takes nothing would keep what the system has for it, the goodbye as well.
                let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
                return;
            }
        }
    }
    drop(conn);
    // What the client sent behind its last frame would make the system reset the connection, and
    // the last replies with it.
    let _ = stream.shutdown().await;
    let mut rest = [0; 1024];
    while matches!(stream.try_read(&mut rest), Ok(n) if n > 0) {}
}

/// How a connection ended.
enum End {
    /// The peer closed it, or a command was answered.
    Gone,
    /// The node closed it; with the bytes that it did not understand.
    Closing(Closing, Vec<u8>),
}

async fn drive(
    conn: &mut Conn,
    stream: &mut TcpStream,
    notify: &Notify,
    server: &Arc<Server>,
    patience: Duration,
) -> io::Result<End> {
    let mut input = BytesMut::new();
    let mut output = Vec::new();
    let mut submit = Vec::new();
    let mut patience = Some(Box::pin(tokio::time::sleep(patience)));
    loop {
        let progress = conn.receive(&input, server.clock.now(), &mut output, &mut submit);
        if !submit.is_empty() {
            // The core ends only with the server.
            let _ = server
                .core
                .send(CoreInput::Submit(std::mem::take(&mut submit)));
        }
        // A frame that ends the connection is consumed; the log wants to see it.
        let first = match &progress.next {
            Next::Close(_) => input[..input.len().min(64)].to_vec(),
            _ => Vec::new(),
        };
        input.advance(progress.consumed);
        if !output.is_empty() && !ends_now(&progress.next) {
            let closing = matches!(&progress.next, Next::Close(_));
            let stats = &server.shared.stats;
            stats.sent_bytes(conn.link().id, output.len(), progress.event_bytes);
            send(stream, &output, conn, server.clock, notify, closing).await?;
            output.clear();
            if output.capacity() > KEEP_BUFFER {
                output = Vec::new();
            }
        }
        match progress.next {
            Next::Again => {}
            Next::Wait => notify.notified().await,
            Next::Word(word) => {
                let answer = admin::fourletter::answer(server, conn.link(), word, &input[4..]);
                send(stream, &answer, conn, server.clock, notify, true).await?;
                return Ok(End::Gone);
            }
            Next::More => {
                if input.is_empty() && input.capacity() > KEEP_BUFFER {
                    input = BytesMut::new();
                }
                if conn.has_session() {
                    patience = None;
                }
                let too_late = poll_fn(|context| match &mut patience {
                    Some(patience) => patience.as_mut().poll(context),
                    None => Poll::Pending,
                });
                tokio::select! {
                    biased;
                    () = notify.notified() => {}
                    read = read(stream, &mut input) => {
                        if read? == 0 {
                            return Ok(End::Gone);
                        }
                    }
                    () = too_late => {
                        let expired = &server.shared.stats.events.sessionless_expired;
                        expired.fetch_add(1, Ordering::Relaxed);
                        return Ok(End::Gone);
                    }
                }
            }
            Next::Close(closing) => return Ok(End::Closing(closing, first)),
        }
    }
}

/// Reads what has arrived; 0 bytes are the end of the stream.
///
/// Unlike try_read(), poll_read() takes a read that does not fill the buffer for the last one, and
/// spares the call that would say so.
async fn read(stream: &mut TcpStream, input: &mut BytesMut) -> io::Result<usize> {
    if !input.is_empty() {
        // The rest of a long frame. Doubling: memory follows what arrived.
        input.reserve(REST_STEP.max(input.len()));
        return stream.read_buf(input).await;
    }
    poll_fn(|context| {
        ARRIVED.with_borrow_mut(|arrived| {
            let mut arrived = ReadBuf::new(arrived);
            let done = ready!(Pin::new(&mut *stream).poll_read(context, &mut arrived));
            input.extend_from_slice(arrived.filled());
            Poll::Ready(done.map(|()| arrived.filled().len()))
        })
    })
    .await
}

fn ends_now(next: &Next) -> bool {
    matches!(next, Next::Close(Closing::Now | Closing::Overflow))
}

/// Sends all of `output`. A client that takes nothing cannot hold a connection beyond its end: what
/// the core leaves meanwhile is looked at, and the last words of a connection have a deadline.
///
/// Its requests wait meanwhile, its pings among them, so that taking bytes keeps its session alive.
async fn send(
    stream: &mut TcpStream,
    mut output: &[u8],
    conn: &Conn,
    clock: Clock,
    notify: &Notify,
    closing: bool,
) -> io::Result<()> {
    // Mostly the system takes all at once, and there is nothing to wait for.
    let first = poll_fn(|context| {
        let written = Pin::new(&mut *stream).poll_write(context, output);
        Poll::Ready(match written {
            Poll::Ready(written) => Some(written),
            Poll::Pending => None,
        })
    });
    if let Some(written) = first.await {
        match written? {
            count if count == output.len() => return Ok(()),
            count => {
                output = &output[count..];
                conn.touch(clock.now());
            }
        }
    }
    let mut deadline = tokio::time::Instant::now() + LAST_WORDS;
    let mut woken = false;
    while !output.is_empty() {
        tokio::select! {
            biased;
            written = stream.write(output) => match written? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                count => {
                    output = &output[count..];
                    if !output.is_empty() {
                        conn.touch(clock.now());
                    }
                    deadline = tokio::time::Instant::now() + LAST_WORDS;
                }
            },
            () = notify.notified() => {
                woken = true;
                if conn.link().ends_now() {
                    break;
                }
            }
            () = tokio::time::sleep_until(deadline), if closing => {
                return Err(io::ErrorKind::TimedOut.into());
            }
        }
    }
    // Whoever waits for the wake-up next must not miss it.
    if woken {
        notify.notify_one();
    }
    Ok(())
}

fn report(peer: SocketAddr, closing: &Closing, first: &[u8]) {
    match closing {
        Closing::Flush | Closing::Now => {}
        Closing::NotAFrame {
            length,
            established: false,
        } => {
            let who = strangers::name(first).unwrap_or("no ZooKeeper client");
            tracing::warn!(%peer, length, first = ?first.escape_ascii().to_string(), "connection closed: {who}");
        }
        Closing::NotAFrame {
            length,
            established: true,
        } => tracing::warn!(
            %peer,
            length,
            "connection closed: the length of a request is beyond jute.maxbuffer"
        ),
        Closing::NotAHandshake { length } => {
            let who = first
                .get(4..)
                .and_then(strangers::name_frame)
                .unwrap_or("no ZooKeeper client");
            tracing::warn!(%peer, length, "connection closed: {who}");
        }
        Closing::ClientAhead { seen, have } => tracing::warn!(
            %peer,
            seen = format_args!("0x{seen:x}"),
            have = format_args!("0x{have:x}"),
            "connection closed: the client has seen a newer state than this server has; was the data directory replaced?"
        ),
        Closing::Overflow => tracing::warn!(
            %peer,
            limit_bytes = MAX_WAITING_BYTES,
            limit_of_all_bytes = MAX_WAITING_BYTES_IN_ALL,
            "connection closed: more than the limit waits for a client that does not read"
        ),
        Closing::Throttled => {
            tracing::debug!(%peer, "connection refused: too many connect (connection_throttle_tokens)");
        }
        Closing::NotServing => {
            tracing::debug!(%peer, "connection closed: this server serves nobody now")
        }
        Closing::ReadOnly => {
            tracing::info!(%peer, "connection closed: there is no leader, and the client wants more than reads");
        }
        Closing::LargeRequest { length } => tracing::warn!(
            %peer,
            length,
            "connection closed: too many bytes of large requests under way (largeRequestMaxBytes)"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn accepted_connections_send_at_once() {
        let listener = listen(Some("127.0.0.1"), 0, 0).await.unwrap();
        let address = listener.local_addr().unwrap();
        let client = TcpStream::connect(address);
        let (accepted, client) = tokio::join!(listener.accept(), client);
        assert!(client.is_ok());
        let has_it = cfg!(target_os = "linux");
        assert_eq!(accepted.unwrap().0.nodelay().unwrap(), has_it);
    }

    #[test]
    fn refused_connections_are_counted_and_told_once_a_second() {
        let refused = Refusals::default();
        let start = Instant::now();
        assert_eq!(refused.say(start), Some(1));
        for ms in 0..999 {
            assert_eq!(refused.say(start + Duration::from_millis(ms)), None);
        }
        assert_eq!(refused.say(start + REFUSALS_EVERY), Some(1000));
        assert_eq!(refused.say(start + REFUSALS_EVERY), None);
    }
}
