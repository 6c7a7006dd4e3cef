//! What members say to each other on the election port: who connects, and votes.
//!
//! The one who connects says who it is, once ([`Hello`]); nothing answers it. Then both sides send
//! frames ([`FrameDecoder`]), each with one [`Notification`].

use std::borrow::Cow;

/// A hello with one address (3.5 and later).
const HELLO_V1: i64 = -65536;

/// A hello with several addresses (3.6 and later, with multiAddress).
const HELLO_V2: i64 = -65535;

/// Most bytes of addresses in a hello, as `QuorumCnxManager` has it.
pub const MAX_HELLO_ADDRESSES: usize = 2048;

/// Most bytes of a frame, as `QuorumCnxManager` has it.
pub const MAX_FRAME: usize = 512 << 10;

/// Fewest bytes of a notification: those of releases before 3.4.
const SHORTEST: usize = 28;

/// The notification version with a configuration in it.
const VERSION_WITH_CONFIG: i32 = 2;

/// Where a member takes election connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElectionAddress {
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// The first bytes of a connection: who opened it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Number of the member.
    pub sid: i64,
    /// Where it takes connections itself; none from 3.4, and none that are wildcards, which say
    /// nothing to another machine.
    pub addresses: Vec<ElectionAddress>,
}

/// Bytes that are not a hello. Java closes the connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// It begins with another version.
    #[error("protocol version {0} is not known")]
    Version(i64),
    /// The addresses are empty or too long.
    #[error("{0} bytes of addresses, expected 1 to {MAX_HELLO_ADDRESSES}")]
    Length(i32),
    /// An address does not read as one.
    #[error("address {0:?}: expected host:port")]
    Address(String),
}

impl Hello {
    /// Reads a hello from the start of `bytes`, with the number of bytes that it takes. `None` until
    /// more has arrived.
    ///
    /// # Errors
    /// It is not one; told as early as it can be.
    pub fn read(bytes: &[u8]) -> Result<Option<(Hello, usize)>, HelloError> {
        let Some(first) = long(bytes, 0) else {
            return Ok(None);
        };
        if first >= 0 {
            // 3.4 sends nothing but its number.
            let hello = Hello {
                sid: first,
                addresses: Vec::new(),
            };
            return Ok(Some((hello, 8)));
        }
        if first != HELLO_V1 && first != HELLO_V2 {
            return Err(HelloError::Version(first));
        }
        let (Some(sid), Some(length)) = (long(bytes, 8), int(bytes, 16)) else {
            return Ok(None);
        };
        let end = match usize::try_from(length) {
            Ok(n @ 1..=MAX_HELLO_ADDRESSES) => 20 + n,
            _ => return Err(HelloError::Length(length)),
        };
        let Some(text) = bytes.get(20..end) else {
            return Ok(None);
        };
        // Java splits at | in a hello of the first kind, too.
        let mut addresses = Vec::new();
        for text in split(&String::from_utf8_lossy(text), '|') {
            let address =
                ElectionAddress::parse(text).ok_or_else(|| HelloError::Address(text.to_owned()))?;
            if !address.is_wildcard() {
                addresses.push(address);
            }
        }
        Ok(Some((Hello { sid, addresses }, end)))
    }

    /// Appends the hello: with its first address or, with `multi`, with all of them, which releases
    /// before 3.6 do not read.
    ///
    /// # Panics
    /// There is no address, or more of them than [`MAX_HELLO_ADDRESSES`] allows.
    pub fn encode(&self, multi: bool, out: &mut Vec<u8>) {
        let shown = if multi { self.addresses.len() } else { 1 };
        let text: Vec<String> = self.addresses[..shown]
            .iter()
            .map(ElectionAddress::to_string)
            .collect();
        let text = text.join("|");
        assert!(
            (1..=MAX_HELLO_ADDRESSES).contains(&text.len()),
            "{} bytes of addresses are no hello",
            text.len()
        );
        let version = if multi { HELLO_V2 } else { HELLO_V1 };
        out.extend_from_slice(&version.to_be_bytes());
        out.extend_from_slice(&self.sid.to_be_bytes());
        out.extend_from_slice(&(text.len() as i32).to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

impl ElectionAddress {
    fn parse(text: &str) -> Option<ElectionAddress> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => text.split_once(':')?,
        };
        // `split` of Java drops what is empty at the end: a colon at the end is none.
        let port = port.trim_end_matches(':');
        Some(ElectionAddress {
            host: host.to_owned(),
            port: port.parse().ok()?,
        })
    }

    /// Whether it is `0.0.0.0` or `::`.
    pub fn is_wildcard(&self) -> bool {
        use std::net::IpAddr;
        self.host == "0"
            || self
                .host
                .parse()
                .is_ok_and(|ip: IpAddr| ip.is_unspecified())
    }
}

/// `host:port`, IPv6 in brackets.
impl std::fmt::Display for ElectionAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// What a member is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PeerState {
    /// It looks for a leader.
    Looking,
    /// It follows one.
    Following,
    /// It leads.
    Leading,
    /// It observes.
    Observing,
}

impl PeerState {
    /// Its number on the wire.
    pub fn to_wire(self) -> i32 {
        match self {
            PeerState::Looking => 0,
            PeerState::Following => 1,
            PeerState::Leading => 2,
            PeerState::Observing => 3,
        }
    }

    /// The state of a number.
    pub fn from_wire(number: i32) -> Option<PeerState> {
        Some(match number {
            0 => PeerState::Looking,
            1 => PeerState::Following,
            2 => PeerState::Leading,
            3 => PeerState::Observing,
            _ => return None,
        })
    }
}

/// A vote, and the state of the member that sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification<'a> {
    /// What the sender does. `None`: a number without meaning; Java drops such a notification of a
    /// voter, and answers one of another before it looks.
    pub state: Option<PeerState>,
    /// Number of the leader that is proposed or followed.
    pub leader: i64,
    /// Last zxid of that leader.
    pub zxid: i64,
    /// The sender's round.
    pub election_epoch: i64,
    /// currentEpoch of that leader.
    pub peer_epoch: i64,
    /// 2 since 3.5; 0 for those that carry none.
    pub version: i32,
    /// Text of the sender's committed configuration; `None` before 3.5. Whether it parses is another
    /// question, and does not touch the vote.
    pub config: Option<Cow<'a, str>>,
}

/// A body that is not a notification. Java drops it and keeps the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// It ends within its fields.
    #[error("a notification of {0} bytes ends within its fields")]
    Short(usize),
    /// The declared length of its configuration is negative or more than is there.
    #[error("a configuration of {declared} bytes in a notification of {length}")]
    Config {
        /// As declared.
        declared: i32,
        /// Bytes of the body.
        length: usize,
    },
}

impl<'a> Notification<'a> {
    /// Reads the body of a frame, of any release.
    ///
    /// # Errors
    /// The body is to be dropped.
    pub fn read(body: &'a [u8]) -> Result<Notification<'a>, NotificationError> {
        let length = body.len();
        let short = || NotificationError::Short(length);
        if length < SHORTEST {
            return Err(short());
        }
        let int = |at| int(body, at).ok_or_else(short);
        let long = |at| long(body, at).ok_or_else(short);
        let zxid = long(12)?;
        let (peer_epoch, version) = match length {
            // Before 3.4.
            SHORTEST => (crate::zxid::epoch(zxid), 0),
            // 3.4.6 and later: its version is there and not looked at.
            40 => (long(28)?, 0),
            _ => (long(28)?, int(36)?),
        };
        let config = if version >= VERSION_WITH_CONFIG {
            let declared = int(40)?;
            let wrong = NotificationError::Config { declared, length };
            let declared = usize::try_from(declared).map_err(|_| wrong)?;
            let text = body[44..].get(..declared).ok_or(wrong)?;
            Some(String::from_utf8_lossy(text))
        } else {
            None
        };
        Ok(Notification {
            state: PeerState::from_wire(int(0)?),
            leader: long(4)?,
            zxid,
            election_epoch: long(20)?,
            peer_epoch,
            version,
            config,
        })
    }

    /// Appends a frame with the notification as 3.5 and later send it: version 2 with a configuration,
    /// or as 3.4.6 without one: 40 bytes with version 1.
    ///
    /// # Panics
    /// There is no state, or the frame is longer than [`MAX_FRAME`].
    pub fn encode_frame(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&[0; 4]);
        let state = self.state.expect("a member has a state");
        out.extend_from_slice(&state.to_wire().to_be_bytes());
        for field in [self.leader, self.zxid, self.election_epoch, self.peer_epoch] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        match &self.config {
            Some(config) => {
                out.extend_from_slice(&VERSION_WITH_CONFIG.to_be_bytes());
                let length = i32::try_from(config.len()).expect("a configuration is short");
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(config.as_bytes());
            }
            None => out.extend_from_slice(&1i32.to_be_bytes()),
        }
        let length = out.len() - begin - 4;
        assert!(
            length <= MAX_FRAME,
            "a notification of {length} bytes is refused by its readers"
        );
        out[begin..begin + 4].copy_from_slice(&(length as i32).to_be_bytes());
    }

    /// The same notification without borrowed parts.
    pub fn into_owned(self) -> Notification<'static> {
        Notification {
            config: self.config.map(|text| Cow::Owned(text.into_owned())),
            ..self
        }
    }
}

/// A frame with a length outside 1 to [`MAX_FRAME`]. Java closes the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes, expected 1 to {MAX_FRAME}")]
pub struct FrameError(pub i32);

/// Finds frames in a stream of bytes. It keeps one unfinished frame, and whatever else was pushed and
/// not asked for; a declared length reserves nothing.
#[derive(Debug, Clone, Default)]
pub struct FrameDecoder {
    bytes: Vec<u8>,
    begin: usize,
}

impl FrameDecoder {
    /// A decoder at the start of a stream, behind the hello.
    pub fn new() -> FrameDecoder {
        FrameDecoder::default()
    }

    /// Takes in what has arrived.
    pub fn push(&mut self, arrived: &[u8]) {
        self.bytes.drain(..self.begin);
        self.begin = 0;
        self.bytes.extend_from_slice(arrived);
    }

    /// The body of the next frame, `None` until more has arrived.
    ///
    /// # Errors
    /// The stream is broken. Every later call says so again.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        let Some(length) = int(&self.bytes, self.begin) else {
            return Ok(None);
        };
        let size = match usize::try_from(length) {
            Ok(n @ 1..=MAX_FRAME) => n,
            _ => return Err(FrameError(length)),
        };
        let begin = self.begin + 4;
        let Some(body) = self.bytes.get(begin..begin + size) else {
            return Ok(None);
        };
        self.begin = begin + size;
        Ok(Some(body))
    }
}

fn int(bytes: &[u8], at: usize) -> Option<i32> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(i32::from_be_bytes(*field))
}

fn long(bytes: &[u8], at: usize) -> Option<i64> {
    let field = bytes.get(at..)?.first_chunk()?;
    Some(i64::from_be_bytes(*field))
}

/// `String.split` of Java: empty parts at the end are dropped.
fn split(text: &str, by: char) -> impl Iterator<Item = &str> {
    text.trim_end_matches(by).split(by)
}
