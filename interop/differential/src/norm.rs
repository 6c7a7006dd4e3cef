//! What a server sent, with everything that may differ between two servers mapped away: session
//! ids become the number of the session, times become the transaction that they belong to, lists
//! without an order are sorted.

use std::collections::HashMap;

use zooid_proto::client::*;
use zooid_proto::jute::List;
use zooid_proto::records::{Acl, Stat};
use zooid_proto::{ErrorCode, Jute, OpCode, Reader, Str};

use crate::item::{SessionNo, exactly, password, shorten};
use crate::link::Got;

/// One thing that came over a connection, comparable between servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Norm {
    Handshake {
        timeout_ms: i32,
        session: Session,
        read_only: Option<bool>,
    },
    Reply {
        xid: i32,
        zxid: i64,
        err: i32,
        body: Body,
    },
    Event {
        zxid: i64,
        err: i32,
        kind: i32,
        state: i32,
        path: Str<'static>,
    },
    Closed,
    Silent,
    /// A frame that cannot be read as what it should be.
    Garbage(Vec<u8>),
}

/// The session in a handshake reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    /// Refused: id 0 and a password of zeros.
    Refused,
    /// Accepted, with the password that belongs to the id.
    Accepted,
    /// Accepted under the id that was asked for, with its password.
    Attached,
    /// Anything else.
    Strange,
}

/// The body of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    None,
    Path(Str<'static>),
    Stat(Stat),
    Create2(Str<'static>, Stat),
    Data(zooid_proto::Buf<'static>, Stat),
    Acl(List<Acl<'static>>, Stat),
    Names(List<Str<'static>>),
    Children2(List<Str<'static>>, Stat),
    Number(i32),
    Infos(List<ClientInfo<'static>>),
    Token(zooid_proto::Buf<'static>),
    Multi(Vec<(MultiHeader, Body)>),
    Raw(Vec<u8>),
}

/// What the mapping of one server needs to remember.
#[derive(Debug, Default)]
pub(crate) struct Mapping {
    /// Session ids by number.
    pub(crate) ids: HashMap<SessionNo, i64>,
    numbers: HashMap<i64, SessionNo>,
    /// The time of each transaction that was seen in a Stat.
    times: HashMap<i64, i64>,
}

impl Mapping {
    pub(crate) fn learn(&mut self, session: SessionNo, id: i64) {
        self.ids.insert(session, id);
        self.numbers.insert(id, session);
    }

    /// A handshake reply, and the id in it.
    pub(crate) fn handshake(&mut self, frame: &[u8], wanted: i64) -> (Norm, i64) {
        let mut from = Reader::new(frame);
        let Ok(reply) = ConnectResponse::read(&mut from) else {
            return (Norm::Garbage(frame.to_vec()), 0);
        };
        if from.remaining() > 0 || frame[..4] != [0; 4] {
            return (Norm::Garbage(frame.to_vec()), 0);
        }
        let id = reply.session_id;
        let session = if id == 0 && reply.password == [0; 16] {
            Session::Refused
        } else if id == 0 || reply.password != password(id) {
            Session::Strange
        } else if wanted == 0 {
            Session::Accepted
        } else if wanted == id {
            Session::Attached
        } else {
            Session::Strange
        };
        let norm = Norm::Handshake {
            timeout_ms: reply.timeout_ms,
            session,
            read_only: reply.read_only,
        };
        (norm, id)
    }

    /// A frame behind the handshake; `op` is that of the oldest unanswered request.
    pub(crate) fn frame(&mut self, frame: &[u8], op: Option<i32>) -> Norm {
        let mut from = Reader::new(frame);
        let Ok(header) = ReplyHeader::read(&mut from) else {
            return Norm::Garbage(frame.to_vec());
        };
        let rest = from.rest();
        if header.xid == xid::NOTIFICATION {
            return match exactly::<WatcherEvent<'_>>(rest) {
                Some(event) => Norm::Event {
                    zxid: header.zxid,
                    err: header.err,
                    kind: event.kind,
                    state: event.state,
                    path: event.path.into_owned(),
                },
                None => Norm::Garbage(frame.to_vec()),
            };
        }
        let op = op.and_then(OpCode::from_i32);
        let body = match (header.err, op) {
            _ if rest.is_empty() => Body::None,
            (0, Some(op)) => self
                .body(op, rest)
                .unwrap_or_else(|| Body::Raw(rest.to_vec())),
            (_, Some(OpCode::Multi | OpCode::MultiRead)) => {
                self.multi(rest).unwrap_or_else(|| Body::Raw(rest.to_vec()))
            }
            _ => Body::Raw(rest.to_vec()),
        };
        Norm::Reply {
            xid: header.xid,
            zxid: header.zxid,
            err: header.err,
            body,
        }
    }

    fn body(&mut self, op: OpCode, bytes: &[u8]) -> Option<Body> {
        match op {
            OpCode::Multi | OpCode::MultiRead => return self.multi(bytes),
            _ => {}
        }
        let mut from = Reader::new(bytes);
        let body = match op {
            OpCode::Create => Body::Path(CreateResponse::read(&mut from).ok()?.path.into_owned()),
            OpCode::Sync => Body::Path(SyncResponse::read(&mut from).ok()?.path.into_owned()),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                self.create2(&mut from)?
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => {
                Body::Stat(self.stat(Stat::read(&mut from).ok()?))
            }
            OpCode::GetData | OpCode::Reconfig => self.data(&mut from)?,
            OpCode::GetAcl => {
                let reply = GetAclResponse::read(&mut from).ok()?.into_owned();
                Body::Acl(sorted_acl(reply.acl), self.stat(reply.stat))
            }
            OpCode::GetChildren | OpCode::GetEphemerals => names(&mut from)?,
            OpCode::GetChildren2 => {
                let reply = GetChildren2Response::read(&mut from).ok()?.into_owned();
                Body::Children2(sorted(reply.children), self.stat(reply.stat))
            }
            OpCode::GetAllChildrenNumber | OpCode::AddWatch => Body::Number(from.i32().ok()?),
            OpCode::WhoAmI => {
                let mut infos = WhoAmIResponse::read(&mut from).ok()?.into_owned().infos;
                if let Some(infos) = &mut infos {
                    infos.sort_by(|a, b| (&a.scheme, &a.user).cmp(&(&b.scheme, &b.user)));
                }
                Body::Infos(infos)
            }
            OpCode::Sasl => Body::Token(SaslRequest::read(&mut from).ok()?.token.into_owned()),
            _ => return None,
        };
        (from.remaining() == 0).then_some(body)
    }

    fn create2(&mut self, from: &mut Reader<'_>) -> Option<Body> {
        let reply = Create2Response::read(from).ok()?.into_owned();
        Some(Body::Create2(reply.path, self.stat(reply.stat)))
    }

    fn data(&mut self, from: &mut Reader<'_>) -> Option<Body> {
        let reply = GetDataResponse::read(from).ok()?.into_owned();
        let data = reply.data.map(|data| without_ports(&data).unwrap_or(data));
        Some(Body::Data(data, self.stat(reply.stat)))
    }

    fn multi(&mut self, bytes: &[u8]) -> Option<Body> {
        let mut from = Reader::new(bytes);
        let mut parts = Vec::new();
        loop {
            let header = MultiHeader::read(&mut from).ok()?;
            if header.done {
                parts.push((header, Body::None));
                return (from.remaining() == 0).then_some(Body::Multi(parts));
            }
            let body = match OpCode::from_i32(header.op) {
                None if header.op == -1 => Body::Number(from.i32().ok()?),
                Some(OpCode::Create) => {
                    Body::Path(CreateResponse::read(&mut from).ok()?.path.into_owned())
                }
                Some(OpCode::Create2) => self.create2(&mut from)?,
                Some(OpCode::Delete | OpCode::Check) => Body::None,
                Some(OpCode::SetData) => Body::Stat(self.stat(Stat::read(&mut from).ok()?)),
                Some(OpCode::GetData) => self.data(&mut from)?,
                Some(OpCode::GetChildren) => names(&mut from)?,
                _ => return None,
            };
            parts.push((header, body));
        }
    }

    fn stat(&mut self, mut stat: Stat) -> Stat {
        stat.ctime = self.time(stat.czxid, stat.ctime);
        stat.mtime = self.time(stat.mzxid, stat.mtime);
        if let Some(session) = self.numbers.get(&stat.ephemeral_owner) {
            stat.ephemeral_owner = 1000 + *session as i64;
        }
        stat
    }

    /// 0 for no time, 1 for the time of the transaction, 2 for another time, 3 for that of a start.
    fn time(&mut self, zxid: i64, time: i64) -> i64 {
        match (zxid, time) {
            (_, 0) => 0,
            (0, _) => 3,
            _ if *self.times.entry(zxid).or_insert(time) == time => 1,
            _ => 2,
        }
    }
}

impl Norm {
    /// What is not a frame.
    pub(crate) fn end(got: &Got) -> Norm {
        match got {
            Got::Closed => Norm::Closed,
            Got::Garbage(length) => Norm::Garbage(length.to_be_bytes().to_vec()),
            Got::Silent | Got::Frame(_) => Norm::Silent,
        }
    }

    /// Sort key among events whose order is open.
    pub(crate) fn event_key(&self) -> Option<(i64, i32, Option<&str>)> {
        match self {
            Norm::Event {
                zxid, kind, path, ..
            } => Some((*zxid, *kind, path.as_deref())),
            _ => None,
        }
    }

    /// For people, on one line.
    pub(crate) fn show(&self) -> String {
        let mut text = shorten(&format!("{self:?}"));
        if let Norm::Reply { err, .. } = self
            && let Some(code) = ErrorCode::from_i32(*err)
            && *err != 0
        {
            text.push_str(&format!(" ({})", code.name()));
        }
        if text.len() > 1500 {
            let cut = (0..=1500)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            text.truncate(cut);
            text.push('…');
        }
        text
    }
}

/// The list of the members of an ensemble, which each has on ports of its own.
fn without_ports(data: &[u8]) -> Option<std::borrow::Cow<'static, [u8]>> {
    let text = std::str::from_utf8(data).ok()?;
    if !text.starts_with("server.1=127.0.0.1:") {
        return None;
    }
    let mut words = text.split(':');
    let mut masked = words.next()?.to_string();
    for word in words {
        let digits = word.bytes().take_while(u8::is_ascii_digit).count();
        masked.push(':');
        masked.extend(std::iter::repeat_n('#', digits));
        masked.push_str(&word[digits..]);
    }
    Some(masked.into_bytes().into())
}

fn names(from: &mut Reader<'_>) -> Option<Body> {
    Some(Body::Names(sorted(
        GetChildrenResponse::read(from).ok()?.into_owned().children,
    )))
}

fn sorted(mut names: List<Str<'static>>) -> List<Str<'static>> {
    if let Some(names) = &mut names {
        names.sort();
    }
    names
}

/// The identities that stand for `auth` come in hash order from a Java server: within a run of
/// digest entries with the same permissions the order is open.
fn sorted_acl(mut acl: List<Acl<'static>>) -> List<Acl<'static>> {
    let Some(list) = &mut acl else { return acl };
    for run in list.chunk_by_mut(|a, b| {
        a.perms == b.perms && a.id.scheme() == "digest" && b.id.scheme() == "digest"
    }) {
        run.sort_by(|a, b| a.id.name().cmp(b.id.name()));
    }
    acl
}

#[cfg(test)]
mod tests {
    use super::*;
    use zooid_proto::Writer;

    fn reply(stat: Stat) -> Vec<u8> {
        let mut out = Vec::new();
        let to = &mut Writer::wire(&mut out);
        ReplyHeader {
            xid: 1,
            zxid: 9,
            err: 0,
        }
        .write(to);
        stat.write(to);
        out
    }

    #[test]
    fn times_count_only_as_the_time_of_their_transaction() {
        let exists = Some(OpCode::Exists.code());
        let stat = |mzxid, mtime| Stat {
            czxid: 3,
            ctime: 500,
            mzxid,
            mtime,
            ..Stat::default()
        };
        let (mut left, mut right) = (Mapping::default(), Mapping::default());
        assert_eq!(
            left.frame(&reply(stat(3, 500)), exists),
            right.frame(
                &reply(Stat {
                    ctime: 7,
                    mtime: 7,
                    ..stat(3, 500)
                }),
                exists
            )
        );
        // A setData that forgets the mtime.
        assert_ne!(
            left.frame(&reply(stat(4, 600)), exists),
            right.frame(
                &reply(Stat {
                    ctime: 7,
                    mtime: 7,
                    ..stat(3, 500)
                }),
                exists
            )
        );
        let forgot = left.frame(&reply(stat(3, 600)), exists);
        assert!(matches!(
            forgot,
            Norm::Reply {
                body: Body::Stat(Stat { mtime: 2, .. }),
                ..
            }
        ));
    }

    #[test]
    fn owners_are_sessions() {
        let exists = Some(OpCode::Exists.code());
        let (mut left, mut right) = (Mapping::default(), Mapping::default());
        left.learn(0, 0x111);
        right.learn(0, 0x222);
        let owned = |id| {
            reply(Stat {
                ephemeral_owner: id,
                ..Stat::default()
            })
        };
        assert_eq!(
            left.frame(&owned(0x111), exists),
            right.frame(&owned(0x222), exists)
        );
        assert_ne!(
            left.frame(&owned(0x111), exists),
            right.frame(&owned(0x333), exists)
        );
    }
}
