//! A client that takes everything literally.

use std::collections::VecDeque;

use anyhow::{Context, Result, bail};
use zooid_proto::client::*;
use zooid_proto::records::{Acl, Stat};
use zooid_proto::{Jute, OpCode, Reader, ops::Request};

use crate::item::{Hello, Req, Who};
use crate::link::{Got, Link};

/// An event: header zxid, kind, path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) zxid: i64,
    pub(super) kind: i32,
    pub(super) path: String,
}

/// A reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) err: i32,
    pub(super) body: Vec<u8>,
    /// Events that came since the answer before.
    pub(super) events: Vec<Event>,
    op: i32,
}

/// A connection with its session.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) link: Link,
    pub(super) id: i64,
    pub(super) password: [u8; 16],
    pub(super) timeout_ms: i32,
    pub(super) reply: Vec<u8>,
    xid: i32,
    pending: VecDeque<i32>,
}

impl Client {
    /// A new session.
    pub(super) fn new(port: u16, timeout_ms: i32) -> Result<Client> {
        Client::hello(port, &Hello::plain(Who::New(0), timeout_ms), 0, &[0; 16])
    }

    /// Attaches to a session.
    pub(super) fn attach(
        port: u16,
        id: i64,
        password: &[u8; 16],
        timeout_ms: i32,
    ) -> Result<Client> {
        let who = Who::Unknown { id, right: true };
        Client::hello(port, &Hello::plain(who, timeout_ms), id, password)
    }

    pub(super) fn hello(port: u16, hello: &Hello, id: i64, password: &[u8; 16]) -> Result<Client> {
        let mut link = Link::connect(port).context("connect")?;
        link.send(&hello.frame(0, id, password));
        Client::greeted(link)
    }

    /// Takes the handshake reply on a connection.
    pub(super) fn greeted(mut link: Link) -> Result<Client> {
        let frame = match link.recv() {
            Got::Frame(frame) => frame,
            end => bail!("instead of a handshake: {end:?}"),
        };
        let reply = ConnectResponse::read(&mut Reader::new(&frame)).context("handshake")?;
        Ok(Client {
            link,
            id: reply.session_id,
            password: reply.password,
            timeout_ms: reply.timeout_ms,
            reply: frame,
            xid: 0,
            pending: VecDeque::new(),
        })
    }

    /// Sends a request, and takes the answer.
    pub(super) fn ask(&mut self, request: &Request<'_>) -> Result<Answer> {
        Ok(self.ask_all(std::slice::from_ref(request))?.remove(0))
    }

    /// Sends requests in one segment, and takes the answers.
    pub(super) fn ask_all(&mut self, requests: &[Request<'_>]) -> Result<Vec<Answer>> {
        let mut bytes = Vec::new();
        for request in requests {
            self.xid += 1;
            Req::new(self.xid, request).frame(&mut bytes);
            self.pending.push_back(request.op().code());
        }
        self.link.send(&bytes);
        requests
            .iter()
            .map(|request| self.answer().with_context(|| format!("{request:?}")))
            .collect()
    }

    /// Sends a request in which nothing has to be right, and takes the answer.
    pub(super) fn ask_raw(&mut self, xid: i32, op: i32, body: &[u8]) -> Result<Answer> {
        self.send_raw(xid, op, body);
        self.answer()
    }

    pub(super) fn send_raw(&mut self, xid: i32, op: i32, body: &[u8]) {
        let mut bytes = Vec::new();
        let shape = crate::item::Shape::Whole;
        Req {
            xid,
            op,
            body: body.to_vec(),
            shape,
        }
        .frame(&mut bytes);
        self.pending.push_back(op);
        self.link.send(&bytes);
    }

    /// Says that a request was sent behind the client's back.
    pub(super) fn expect(&mut self, op: OpCode) {
        self.pending.push_back(op.code());
    }

    /// Takes an answer.
    pub(super) fn answer(&mut self) -> Result<Answer> {
        let mut events = Vec::new();
        loop {
            let frame = match self.link.recv() {
                Got::Frame(frame) => frame,
                end => bail!("no answer: {end:?}"),
            };
            let mut from = Reader::new(&frame);
            let header = ReplyHeader::read(&mut from)?;
            if header.xid != xid::NOTIFICATION {
                let op = self
                    .pending
                    .pop_front()
                    .context("an answer that nobody asked for")?;
                let body = from.rest().to_vec();
                return Ok(Answer {
                    xid: header.xid,
                    zxid: header.zxid,
                    err: header.err,
                    body,
                    events,
                    op,
                });
            }
            let event = WatcherEvent::read(&mut from)?;
            anyhow::ensure!(
                header.err == 0 && event.state == 3,
                "strange event {header:?} {event:?}"
            );
            let path = event
                .path
                .as_deref()
                .context("event without a path")?
                .to_string();
            events.push(Event {
                zxid: header.zxid,
                kind: event.kind,
                path,
            });
        }
    }

    /// The events that came up to now, as kind and path.
    pub(super) fn events(&mut self) -> Result<Vec<(i32, String)>> {
        Ok(self.ask(&super::requests::ping())?.kinds())
    }

    /// Fails unless the server ends the connection without a word.
    pub(super) fn ends(&mut self) -> Result<()> {
        match self.link.recv() {
            Got::Closed => Ok(()),
            other => bail!("instead of an end: {other:?}"),
        }
    }
}

impl Answer {
    /// The answer if it is without error.
    pub(super) fn ok(self) -> Result<Answer> {
        anyhow::ensure!(
            self.err == 0,
            "error {} to {} {}",
            self.err,
            self.op,
            self.xid
        );
        Ok(self)
    }

    pub(super) fn kinds(&self) -> Vec<(i32, String)> {
        self.events
            .iter()
            .map(|event| (event.kind, event.path.clone()))
            .collect()
    }

    pub(super) fn path(&self) -> Result<String> {
        Ok(Reader::new(&self.body)
            .str()?
            .context("null path")?
            .into_owned())
    }

    pub(super) fn number(&self) -> Result<i32> {
        Ok(Reader::new(&self.body).i32()?)
    }

    pub(super) fn names(&self) -> Result<Vec<String>> {
        let names = GetChildrenResponse::from_bytes(&self.body)?
            .children
            .context("null list")?;
        let mut names: Vec<String> = names.into_iter().flatten().map(Into::into).collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn data(&self) -> Result<Option<Vec<u8>>> {
        Ok(GetDataResponse::from_bytes(&self.body)?
            .data
            .map(Into::into))
    }

    pub(super) fn text(&self) -> Result<String> {
        Ok(String::from_utf8(self.data()?.context("null data")?)?)
    }

    pub(super) fn acl(&self) -> Result<Vec<Acl<'static>>> {
        let acl = GetAclResponse::from_bytes(&self.body)?.into_owned().acl;
        acl.context("null ACL")
    }

    /// The ids of the ACL.
    pub(super) fn acl_ids(&self) -> Result<Vec<String>> {
        Ok(self
            .acl()?
            .iter()
            .map(|acl| acl.id.name().to_string())
            .collect())
    }

    pub(super) fn infos(&self) -> Result<Vec<(String, String)>> {
        let infos = WhoAmIResponse::from_bytes(&self.body)?
            .infos
            .context("null list")?;
        let text = |text: zooid_proto::Str<'_>| text.unwrap_or_default().into_owned();
        let mut infos: Vec<_> = infos
            .into_iter()
            .map(|info| (text(info.scheme), text(info.user)))
            .collect();
        infos.sort();
        Ok(infos)
    }

    /// The state in the answer, wherever it is.
    pub(super) fn stat(&self) -> Result<Stat> {
        anyhow::ensure!(self.err == 0, "error {} instead of a Stat", self.err);
        Ok(match OpCode::from_i32(self.op) {
            Some(OpCode::Exists | OpCode::SetData | OpCode::SetAcl) => {
                Stat::from_bytes(&self.body)?
            }
            Some(OpCode::GetData) => GetDataResponse::from_bytes(&self.body)?.stat,
            Some(OpCode::GetAcl) => GetAclResponse::from_bytes(&self.body)?.stat,
            Some(OpCode::GetChildren2) => GetChildren2Response::from_bytes(&self.body)?.stat,
            Some(OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl) => {
                Create2Response::from_bytes(&self.body)?.stat
            }
            other => bail!("{other:?} has no Stat"),
        })
    }

    /// The parts of a multi, as type and error, without the end marker.
    pub(super) fn parts(&self) -> Result<Vec<(i32, i32)>> {
        Ok(self
            .part_bodies()?
            .into_iter()
            .map(|(kind, err, _)| (kind, err))
            .collect())
    }

    /// The parts of a multi with their bodies.
    pub(super) fn part_bodies(&self) -> Result<Vec<(i32, i32, Vec<u8>)>> {
        let mut from = Reader::new(&self.body);
        let mut parts = Vec::new();
        loop {
            let header = MultiHeader::read(&mut from)?;
            if header.done {
                anyhow::ensure!(header.op == -1 && header.err == -1, "end marker {header:?}");
                anyhow::ensure!(from.remaining() == 0, "bytes behind the end marker");
                return Ok(parts);
            }
            let start = from.position();
            match header.op {
                -1 => drop(from.i32()?),
                1 => drop(from.str()?),
                2 | 13 => {}
                4 => drop(GetDataResponse::read(&mut from)?),
                5 => drop(Stat::read(&mut from)?),
                8 => drop(GetChildrenResponse::read(&mut from)?),
                15 => drop(Create2Response::read(&mut from)?),
                other => bail!("part of type {other}"),
            }
            parts.push((
                header.op,
                header.err,
                self.body[start..from.position()].to_vec(),
            ));
        }
    }
}
