//! The steps of a case, concrete enough to be played again: what the shrinker drops one by one.

use std::fmt;

use zooid_proto::client::{ConnectRequest, MultiOp, create_mode};
use zooid_proto::records::Acl;
use zooid_proto::{Jute, OpCode, Writer, ops::Request};

/// A session by the order of its creation in the case; the servers choose the real ids.
pub(crate) type SessionNo = usize;

/// Place of a connection.
pub(crate) type Slot = usize;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// Opens a connection in a slot; what was there is dropped first.
    Connect { slot: Slot, hello: Hello },
    /// Sends a request.
    Request {
        slot: Slot,
        /// In one segment with the step before, if that is on the same connection.
        glued: bool,
        req: Req,
    },
    /// Sends bytes that are no complete frame, then drops the connection.
    Torn { slot: Slot, bytes: Vec<u8> },
    /// Drops a connection without a word.
    Drop { slot: Slot },
    /// Collects what the other connections got.
    Barrier,
    /// Kills both servers and starts them again on their data.
    Restart,
    /// Lets a session expire, with an open but silent connection or without one.
    Expire { session: SessionNo, open: bool },
    /// Waits until the session on a connection has expired, which has had a short timeout since it
    /// began; the connection stays open and silent, or is dropped.
    Outlive { slot: Slot, open: bool },
}

/// Which session a handshake is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    New(SessionNo),
    Attach(SessionNo, Password),
    /// An id that no server gave out, with or without the password that belongs to it.
    Unknown {
        id: i64,
        right: bool,
    },
}

/// What a client shows as its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Password {
    Right,
    Wrong,
    Null,
    Empty,
    Short,
    Long,
}

/// A handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) who: Who,
    pub(crate) protocol_version: i32,
    pub(crate) timeout_ms: i32,
    /// Above the last zxid of the server by that much; `None` for 0.
    pub(crate) ahead: Option<i64>,
    pub(crate) read_only: Option<bool>,
    /// Bytes behind the frame's content, inside the frame.
    pub(crate) tail: Vec<u8>,
    /// Length to which the frame is cut.
    pub(crate) cut: Option<usize>,
}

impl Hello {
    pub(crate) fn plain(who: Who, timeout_ms: i32) -> Hello {
        Hello {
            who,
            protocol_version: 0,
            timeout_ms,
            ahead: None,
            read_only: Some(false),
            tail: Vec::new(),
            cut: None,
        }
    }

    /// The frame with its length.
    pub(crate) fn frame(&self, last_zxid: i64, id: i64, password: &[u8; 16]) -> Vec<u8> {
        let shown = match self.who {
            Who::New(_) => Password::Right,
            Who::Attach(_, password) => password,
            Who::Unknown { right: true, .. } => Password::Right,
            Who::Unknown { right: false, .. } => Password::Wrong,
        };
        let password: Option<Vec<u8>> = match shown {
            Password::Right => Some(password.to_vec()),
            Password::Wrong => Some(password.iter().map(|b| b ^ 0x5A).collect()),
            Password::Null => None,
            Password::Empty => Some(Vec::new()),
            Password::Short => Some(password[..15].to_vec()),
            Password::Long => Some([&password[..], &[0]].concat()),
        };
        let mut body = Vec::new();
        ConnectRequest {
            protocol_version: self.protocol_version,
            last_zxid_seen: self.ahead.map_or(0, |ahead| last_zxid + ahead),
            timeout_ms: self.timeout_ms,
            session_id: id,
            password: password.map(Into::into),
            read_only: self.read_only,
        }
        .write(&mut Writer::wire(&mut body));
        body.extend_from_slice(&self.tail);
        if let Some(cut) = self.cut {
            body.truncate(cut);
        }
        framed(&body)
    }
}

/// How a request becomes a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// As it should be.
    Whole,
    /// With this length in front, whatever the content.
    Length(i32),
    /// Header and body cut to so many bytes, the length telling the truth.
    Cut(usize),
}

/// A request as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Req {
    pub(crate) xid: i32,
    pub(crate) op: i32,
    pub(crate) body: Vec<u8>,
    pub(crate) shape: Shape,
}

impl Req {
    pub(crate) fn new(xid: i32, request: &Request<'_>) -> Req {
        let mut body = Vec::new();
        request.write(&mut Writer::wire(&mut body));
        Req {
            xid,
            op: request.op().code(),
            body,
            shape: Shape::Whole,
        }
    }

    /// The same request with characters beyond the Basic Multilingual Plane as most clients send
    /// them: four bytes. `new` writes two times three, as Java clients do.
    pub(crate) fn new_utf8(xid: i32, request: &Request<'_>) -> Req {
        let mut body = Vec::new();
        request.write(&mut Writer::disk(&mut body));
        Req {
            body,
            ..Req::new(xid, request)
        }
    }

    /// Appends the frame.
    pub(crate) fn frame(&self, out: &mut Vec<u8>) {
        let mut content = Vec::with_capacity(8 + self.body.len());
        content.extend_from_slice(&self.xid.to_be_bytes());
        content.extend_from_slice(&self.op.to_be_bytes());
        content.extend_from_slice(&self.body);
        let mut length = content.len() as i32;
        match self.shape {
            Shape::Whole => {}
            Shape::Length(other) => length = other,
            Shape::Cut(cut) => {
                content.truncate(cut);
                length = content.len() as i32;
            }
        }
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(&content);
    }

    /// The text at the start of the body, in most requests the path.
    pub(crate) fn path(&self) -> Option<Vec<u8>> {
        let path = zooid_proto::Reader::new(&self.body).raw().ok()??;
        (path.len() > 1).then(|| path.to_vec())
    }

    pub(crate) fn is(&self, op: OpCode) -> bool {
        self.op == op.code()
    }

    /// The decoded request, if it can be decoded.
    pub(crate) fn decode(&self) -> Option<Request<'_>> {
        Request::decode(OpCode::from_i32(self.op)?, &self.body).ok()
    }

    /// Requests that are answered while the frame is read, or that may end the connection: what is
    /// pipelined around them is answered or not as the threads of a Java server run.
    pub(crate) fn may_close(&self) -> bool {
        use OpCode::{Auth, Check, CloseSession, Sasl};
        let op = OpCode::from_i32(self.op);
        self.shape != Shape::Whole || matches!(op, None | Some(Auth | Sasl | CloseSession | Check))
    }

    /// Whether the answer is awaited before the next request leaves, because the pending changes
    /// of a Java server (`PrepRequestProcessor`) are not what it will apply: a setACL does not
    /// show the new ACL there, a container made with an ephemeral flag shows as ephemeral, and a
    /// multi that fails at a null (an exception of another kind) takes nothing back.
    pub(crate) fn is_awaited(&self) -> bool {
        match self.decode() {
            Some(Request::SetAcl(_)) => true,
            Some(Request::CreateContainer(body)) => create_mode::is_ephemeral(body.flags),
            Some(Request::Multi(multi)) => multi.ops.iter().any(has_null),
            _ => false,
        }
    }

    /// Whether it takes a zxid.
    pub(crate) fn is_write(&self) -> bool {
        OpCode::from_i32(self.op).is_some_and(|op| op.class() == zooid_proto::OpClass::Write)
    }
}

fn has_null(op: &MultiOp<'_>) -> bool {
    let any = |path: &zooid_proto::Str<'_>, acl: Option<&[Acl<'_>]>| {
        let null = |acl: &Acl<'_>| acl.id.scheme.is_none() || acl.id.id.is_none();
        path.is_none() || acl.is_some_and(|acl| acl.iter().any(null))
    };
    match op {
        MultiOp::Create(r) | MultiOp::Create2(r) | MultiOp::CreateContainer(r) => {
            any(&r.path, r.acl.as_deref())
        }
        MultiOp::CreateTtl(r) => any(&r.path, r.acl.as_deref()),
        MultiOp::Delete(r) => any(&r.path, None),
        MultiOp::SetData(r) => any(&r.path, None),
        MultiOp::Check(r) => any(&r.path, None),
        MultiOp::GetData(_) | MultiOp::GetChildren(_) => false,
    }
}

/// A frame around some content.
pub(crate) fn framed(content: &[u8]) -> Vec<u8> {
    let mut out = (content.len() as i32).to_be_bytes().to_vec();
    out.extend_from_slice(content);
    out
}

/// The password that ZooKeeper derives from a session id: four words of `java.util.Random` seeded
/// with the id and a constant, low byte first.
pub(crate) fn password(id: i64) -> [u8; 16] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = ((id as u64 ^ 0xB341_5C00) ^ MULTIPLIER) & MASK;
    let mut out = [0; 16];
    for word in out.chunks_exact_mut(4) {
        state = (state.wrapping_mul(MULTIPLIER) + 0xB) & MASK;
        word.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    out
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Connect { slot, hello } => {
                write!(
                    f,
                    "conn {slot}: connect {:?}, timeout {} ms",
                    hello.who, hello.timeout_ms
                )?;
                if let Some(ahead) = hello.ahead {
                    write!(f, ", last zxid {ahead:+}")?;
                }
                if hello.read_only != Some(false) {
                    write!(f, ", read-only {:?}", hello.read_only)?;
                }
                if !hello.tail.is_empty() {
                    write!(f, ", {} bytes more", hello.tail.len())?;
                }
                if let Some(cut) = hello.cut {
                    write!(f, ", cut to {cut} bytes")?;
                }
                Ok(())
            }
            Item::Request { slot, glued, req } => {
                let glue = if *glued { " (same segment)" } else { "" };
                write!(f, "conn {slot}:{glue} xid {} {}", req.xid, Shown(req))
            }
            Item::Torn { slot, bytes } => write!(f, "conn {slot}: send {}, then drop", hex(bytes)),
            Item::Drop { slot } => write!(f, "conn {slot}: drop"),
            Item::Barrier => write!(f, "ping on all connections"),
            Item::Restart => write!(f, "kill -9 and start again"),
            Item::Expire { session, open } => {
                let how = if *open { "silent" } else { "no" };
                write!(f, "session {session} expires with {how} connection")
            }
            Item::Outlive { slot, open } => {
                let how = if *open { "silent" } else { "dropped" };
                write!(f, "conn {slot}: {how} until its session has expired")
            }
        }
    }
}

struct Shown<'a>(&'a Req);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Req {
            op, body, shape, ..
        } = self.0;
        match self.0.decode() {
            Some(request) => {
                let text = shorten(&format!("{request:?}"));
                let mut again = Vec::new();
                request.write(&mut Writer::wire(&mut again));
                write!(f, "{text}")?;
                if again != *body {
                    write!(f, " as bytes {}", hex(body))?;
                }
            }
            None => {
                let name = OpCode::from_i32(*op).map_or("unknown", OpCode::name);
                write!(f, "op {op} ({name}), body {}", hex(body))?;
            }
        }
        if *shape != Shape::Whole {
            write!(f, ", frame {shape:?}")?;
        }
        Ok(())
    }
}

/// Debug text without what every record repeats: no `Some(…)`, bytes as text.
pub(crate) fn shorten(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['[', 'S']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some((inside, behind)) = rest.strip_prefix("Some(").and_then(to_bracket) {
            out.push_str(&shorten(inside));
            rest = behind;
        } else if let Some((bytes, behind)) = rest.strip_prefix('[').and_then(byte_list) {
            let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
            out.push_str(&format!("b{shown:?}"));
            if bytes.len() > 60 {
                out.push_str(&format!("…({} bytes)", bytes.len()));
            }
            rest = behind;
        } else {
            out.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    out.push_str(rest);
    out
}

/// The text up to the bracket that closes, and the text behind it.
fn to_bracket(text: &str) -> Option<(&str, &str)> {
    let mut depth = 1;
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&text[..i], &text[i + 1..]));
        }
    }
    None
}

/// The bytes of a printed list of numbers, and the text behind it.
fn byte_list(text: &str) -> Option<(Vec<u8>, &str)> {
    let (inside, behind) = text.split_once(']')?;
    let bytes: Result<Vec<u8>, _> = inside.split(", ").map(str::parse).collect();
    bytes.ok().map(|bytes| (bytes, behind))
}

/// Bytes for people: text as text, the rest as hex, long ones shortened.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(120).map(|b| format!("{b:02x}")).collect();
    let more = bytes.len().saturating_sub(120);
    let tail = if more > 0 {
        format!("… {more} more")
    } else {
        String::new()
    };
    format!("[{}{tail}]", shown.join(" "))
}

/// Decodes a record that fills its bytes exactly.
pub(crate) fn exactly<'a, T: Jute<'a>>(bytes: &'a [u8]) -> Option<T> {
    let mut from = zooid_proto::Reader::new(bytes);
    let value = T::read(&mut from).ok()?;
    (from.remaining() == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_recorded_session() {
        let wanted = "7db9c8cbc679ee4c23897aa17f1e4834";
        let got: String = password(0x0100_0014_9629_0000)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(got, wanted);
    }

    #[test]
    fn debug_text_is_shortened() {
        assert_eq!(
            shorten("A { path: Some(\"/a\"), acl: Some([B(1)]) }"),
            "A { path: \"/a\", acl: [B(1)] }"
        );
    }
}
