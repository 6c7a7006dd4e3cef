//! A session with a server, read no further than needed.

use crate::frames::framed;
use crate::outcome::name_of;
use anyhow::{Context, bail};
use bytes::{Buf, BytesMut};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use zooid_proto::client::{ConnectRequest, ConnectResponse, Empty, RequestHeader, xid};
use zooid_proto::ops::{OpCode, Request};
use zooid_proto::{Reader, Writer};

/// Bytes of length and reply header.
const HEAD: usize = 4 + 16;

/// Bytes that one read may bring.
const READ_STEP: usize = 64 * 1024;

thread_local! {
    /// Where reads go first: ten thousand connections that wait need no buffer of their own.
    static ARRIVED: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_STEP]);
}

/// Connections from one address of the loopback network: it has 28,000 ports to give by default,
/// and those of closed connections stay taken for a while.
const PER_SOURCE: usize = 12_000;

/// Addresses of the loopback network to connect from: 127.0.1.1 to 127.0.250.1.
const SOURCES: usize = 250;

/// Why a connection ends mostly. One that the server closes while a long request is still being
/// written ends with a reset.
pub(crate) const CLOSED: &str =
    "the server closed the connection (a request above its jute.maxbuffer? its log says)";

/// A handshake that takes longer has failed.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Waits for bytes, and takes all that are there; 0 are the end of the stream.
///
/// Unlike try_read(), poll_read() takes a read that does not fill the buffer for the last one, and
/// spares the call that would say so.
pub(crate) async fn arrive(
    stream: &mut (impl AsyncRead + Unpin),
    input: &mut BytesMut,
) -> std::io::Result<usize> {
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

/// Where sessions come from.
pub(crate) struct Target {
    name: String,
    address: SocketAddr,
    timeout_ms: i32,
    opened: AtomicUsize,
}

impl Target {
    pub(crate) async fn new(server: &str, timeout_ms: i32) -> anyhow::Result<Target> {
        let found = tokio::net::lookup_host(server).await;
        let address = found
            .with_context(|| format!("{server:?} is no HOST:PORT that can be found"))?
            .min_by_key(SocketAddr::is_ipv6)
            .with_context(|| format!("{server:?} has no address"))?;
        Ok(Target {
            name: server.to_owned(),
            address,
            timeout_ms,
            opened: AtomicUsize::new(0),
        })
    }

    /// A connection; on the loopback network from one address after the other.
    async fn connect(&self) -> std::io::Result<TcpStream> {
        let group = self.opened.fetch_add(1, Ordering::Relaxed) / PER_SOURCE % SOURCES;
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let IpAddr::V4(address) = self.address.ip()
            && address.is_loopback()
            && group > 0
        {
            let source = Ipv4Addr::new(127, 0, group as u8, 1);
            socket.set_reuseaddr(true)?;
            socket.bind((source, 0).into())?;
        }
        let stream = socket.connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// A session with a server.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) replies: Replies,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> anyhow::Result<Connection> {
        match tokio::time::timeout(HANDSHAKE, Connection::handshake(target)).await {
            Ok(done) => done,
            Err(_) => bail!(
                "{}: no session within {} s",
                target.name,
                HANDSHAKE.as_secs()
            ),
        }
    }

    async fn handshake(target: &Target) -> anyhow::Result<Connection> {
        let name = &target.name;
        let stream = match target.connect().await {
            Ok(stream) => stream,
            Err(error) if matches!(error.raw_os_error(), Some(23 | 24)) => bail!(
                "{error}: this process may not open more connections (ulimit -n), {} were opened",
                target.opened.load(Ordering::Relaxed) - 1
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot reach {name}"));
            }
        };
        let mut connection = Connection {
            stream,
            replies: Replies::default(),
        };
        let mut frame = vec![0; 4];
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: target.timeout_ms,
            session_id: 0,
            password: Some(vec![0; 16].into()),
            read_only: Some(false),
        }
        .write(&mut Writer::wire(&mut frame));
        let length = i32::try_from(frame.len() - 4).expect("a handshake is short");
        frame[..4].copy_from_slice(&length.to_be_bytes());
        connection.stream.write_all(&frame).await?;
        let reply = connection.frame().await.with_context(|| {
            format!(
                "{name} ended the handshake (its limit of connections? maxClientCnxns, ulimit -n)"
            )
        })?;
        let response = ConnectResponse::read(&mut Reader::new(&reply))
            .with_context(|| format!("{name} does not speak ZooKeeper's protocol"))?;
        if response.session_id == 0 {
            bail!("{name} refused a session");
        }
        Ok(connection)
    }

    /// The next frame, without its length.
    pub(crate) async fn frame(&mut self) -> anyhow::Result<BytesMut> {
        loop {
            if let Some(frame) = self.replies.take()? {
                return Ok(frame);
            }
            self.fill().await?;
        }
    }

    /// Waits for bytes.
    pub(crate) async fn fill(&mut self) -> anyhow::Result<()> {
        match arrive(&mut self.stream, &mut self.replies.input)
            .await
            .context(CLOSED)?
        {
            0 => bail!(CLOSED),
            _ => Ok(()),
        }
    }

    /// Sends one request and returns the body of its reply, or the error in it. Events and pings
    /// that come before are left out.
    pub(crate) async fn ask(&mut self, frame: &[u8]) -> anyhow::Result<Result<BytesMut, i32>> {
        self.stream.write_all(frame).await.context(CLOSED)?;
        loop {
            let mut reply = self.frame().await?;
            let head = Head::of(&reply).context("a reply without a header")?;
            if matches!(head.xid, xid::NOTIFICATION | xid::PING) {
                continue;
            }
            reply.advance(16);
            return Ok(if head.err == 0 {
                Ok(reply)
            } else {
                Err(head.err)
            });
        }
    }

    /// Sends one request that must succeed.
    pub(crate) async fn call(&mut self, frame: &[u8]) -> anyhow::Result<BytesMut> {
        match self.ask(frame).await? {
            Ok(body) => Ok(body),
            Err(code) => bail!("the server answered {}", name_of(code)),
        }
    }

    /// Tells the server that the session lives; the answer is skipped later.
    pub(crate) async fn ping(&mut self) -> anyhow::Result<()> {
        // Nobody reads while sessions are only held: the answers must not pile up.
        self.replies.read(&self.stream)?;
        while self.replies.take()?.is_some() {}
        let mut frame = vec![0, 0, 0, 8];
        RequestHeader {
            xid: xid::PING,
            op: OpCode::Ping.code(),
        }
        .write_to(&mut frame);
        self.stream.write_all(&frame).await?;
        Ok(())
    }

    /// Ends the session.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.call(&framed(&Request::CloseSession(Empty {}))).await?;
        Ok(())
    }
}

trait WriteTo {
    fn write_to(&self, out: &mut Vec<u8>);
}

impl WriteTo for RequestHeader {
    fn write_to(&self, out: &mut Vec<u8>) {
        zooid_proto::Jute::write(self, &mut Writer::wire(out));
    }
}

/// What is looked at of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) xid: i32,
    pub(crate) err: i32,
}

impl Head {
    fn of(frame: &[u8]) -> Option<Head> {
        let number = |at: usize| Some(i32::from_be_bytes(*frame.get(at..)?.first_chunk()?));
        Some(Head {
            xid: number(0)?,
            err: number(12)?,
        })
    }
}

/// What has arrived on a connection.
#[derive(Default)]
pub(crate) struct Replies {
    input: BytesMut,
}

impl Replies {
    /// Reads what is there; false if that is nothing. An end of the stream is an error.
    pub(crate) fn read(&mut self, stream: &TcpStream) -> anyhow::Result<bool> {
        ARRIVED.with_borrow_mut(|arrived| match stream.try_read(arrived) {
            Ok(0) => bail!(CLOSED),
            Ok(count) => {
                self.input.extend_from_slice(&arrived[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error).context(CLOSED),
        })
    }

    /// A buffer that held a burst is given back.
    pub(crate) fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }

    /// Calls `each` with every whole reply.
    pub(crate) fn each(&mut self, mut each: impl FnMut(Head)) -> anyhow::Result<()> {
        let mut at = 0;
        while let Some(head) = self.input.get(at..at + HEAD) {
            let length = i32::from_be_bytes(*head.first_chunk().expect("20 bytes"));
            let end = at + 4 + usize::try_from(length).context("a reply of negative length")?;
            if self.input.len() < end {
                break;
            }
            each(Head::of(&head[4..]).expect("16 bytes"));
            at = end;
        }
        self.input.advance(at);
        Ok(())
    }

    /// Takes one whole frame out.
    fn take(&mut self) -> anyhow::Result<Option<BytesMut>> {
        let Some(head) = self.input.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = usize::try_from(i32::from_be_bytes(*head))
            .context("the server does not speak ZooKeeper's protocol")?;
        if self.input.len() < 4 + length {
            return Ok(None);
        }
        self.input.advance(4);
        Ok(Some(self.input.split_to(length)))
    }
}
