//! One connection to a server: frames out, frames in.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// How long a server may take for an answer. Far above what a loaded machine needs: who waits that
/// long has lost a reply.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Longest frame that any answer of a test has.
const LONGEST: usize = 64 << 20;

/// What came from a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// A frame, without its length.
    Frame(Vec<u8>),
    /// The connection ended, by FIN or RST.
    Closed,
    /// Nothing came in time.
    Silent,
    /// A length that no server sends.
    Garbage(i32),
}

/// A connection. It stays usable when the server ended it: sending does nothing then.
#[derive(Debug)]
pub(crate) struct Link {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
    open: bool,
}

impl Link {
    pub(crate) fn connect(port: u16) -> std::io::Result<Link> {
        Link::of(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?)
    }

    /// Takes over a connection.
    pub(crate) fn of(stream: TcpStream) -> std::io::Result<Link> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Link {
            stream,
            buffer: Vec::new(),
            at: 0,
            open: true,
        })
    }

    /// Sends bytes as they are. A broken pipe is no error here: the end shows when reading.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next frame, or why there is none.
    pub(crate) fn recv(&mut self) -> Got {
        loop {
            let have = &self.buffer[self.at..];
            if let Some(head) = have.first_chunk::<4>() {
                let length = i32::from_be_bytes(*head);
                let Some(length) = usize::try_from(length).ok().filter(|n| *n <= LONGEST) else {
                    return Got::Garbage(length);
                };
                if have.len() >= 4 + length {
                    let frame = have[4..4 + length].to_vec();
                    self.at += 4 + length;
                    return Got::Frame(frame);
                }
            }
            if let Some(end) = self.fill() {
                return end;
            }
        }
    }

    /// All bytes up to the end of the connection, unframed.
    pub(crate) fn recv_all(&mut self) -> (Vec<u8>, Got) {
        loop {
            if let Some(end) = self.fill() {
                let rest = self.buffer.split_off(self.at);
                self.at = 0;
                self.buffer.clear();
                return (rest, end);
            }
        }
    }

    fn fill(&mut self) -> Option<Got> {
        if !self.open {
            return Some(Got::Closed);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + 16 * 1024, 0);
        let result = self.stream.read(&mut self.buffer[start..]);
        let end = match &result {
            Ok(0) => Some(Got::Closed),
            Ok(_) => None,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::TimedOut => Some(Got::Silent),
                ErrorKind::Interrupted => None,
                _ => Some(Got::Closed),
            },
        };
        self.buffer.truncate(start + result.unwrap_or(0));
        if end == Some(Got::Closed) {
            self.open = false;
        }
        end
    }
}
