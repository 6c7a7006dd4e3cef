//! What clients ask for: few names, so that they meet; every kind of write; data that disks find
//! hard to tell from nothing.

use crate::dice::Dice;
use std::sync::Arc;
use zooid_node::conn::WriteRequest;
use zooid_node::{Link, Now, Shared, Submit, Wake};
use zooid_proto::client::{
    CheckVersionRequest, CreateRequest, CreateTtlRequest, DeleteRequest, MultiOp, MultiRequest,
    SetAclRequest, SetDataRequest, create_mode,
};
use zooid_proto::records::{Acl, perms};
use zooid_proto::{Jute, OpCode, Writer};

/// Asks for writes in the name of several sessions.
#[derive(Debug)]
pub struct Client {
    dice: Dice,
    xid: i32,
}

struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

impl Client {
    /// A client whose requests come from `seed`.
    pub fn new(seed: u64) -> Client {
        Client {
            dice: Dice::new(seed, 10),
            xid: 0,
        }
    }

    /// The next request.
    pub fn next(&mut self, shared: &Arc<Shared>, now: Now) -> Submit {
        self.xid += 1;
        let link = Arc::new(Link::new(
            shared.next_conn(),
            ([127, 0, 0, 1], 1).into(),
            now.wall_ms,
            Box::new(Nobody),
        ));
        let mut ids: Vec<i64> = shared.tree.read().sessions().keys().copied().collect();
        ids.sort_unstable();
        let sessions: Vec<_> = ids
            .iter()
            .filter_map(|id| shared.sessions.get(*id))
            .collect();
        if sessions.is_empty() || sessions.len() < 6 && self.dice.once_in(12) {
            return Submit::Open {
                link,
                timeout_ms: self.dice.of(&[6000, 10_000, 60_000]),
                received_ms: now.mono_ms,
            };
        }
        let session = self.dice.of(&sessions);
        shared.sessions.touch(&session, session.timeout_ms(), now);
        let (op, body) = self.request();
        Submit::Write(WriteRequest {
            ids: link.identities(),
            link,
            session,
            op,
            xid: self.xid,
            body,
            received_ms: now.mono_ms,
        })
    }

    fn request(&mut self) -> (OpCode, Vec<u8>) {
        let mut body = Vec::new();
        let to = &mut Writer::wire(&mut body);
        let op = match self.dice.below(40) {
            0..=9 => {
                self.create(false).write(to);
                self.dice.of(&[OpCode::Create, OpCode::Create2])
            }
            10..=12 => {
                self.create(true).write(to);
                OpCode::Create
            }
            13..=14 => {
                let create = self.create(false);
                let flags = create_mode::CONTAINER;
                CreateRequest { flags, ..create }.write(to);
                OpCode::CreateContainer
            }
            15 => {
                self.create_ttl().write(to);
                OpCode::CreateTtl
            }
            16..=25 => {
                self.set_data().write(to);
                OpCode::SetData
            }
            26..=30 => {
                self.delete().write(to);
                OpCode::Delete
            }
            31..=32 => {
                SetAclRequest {
                    path: Some(self.path().into()),
                    acl: self.acl(),
                    version: -1,
                }
                .write(to);
                OpCode::SetAcl
            }
            33..=38 => {
                let ops = (0..self.dice.below(6)).map(|_| self.part()).collect();
                MultiRequest { ops }.write(to);
                OpCode::Multi
            }
            _ => OpCode::CloseSession,
        };
        (op, body)
    }

    fn part(&mut self) -> MultiOp<'static> {
        match self.dice.below(8) {
            0..=2 => MultiOp::Create(self.create(false)),
            3 => MultiOp::Create2(self.create(true)),
            4..=5 => MultiOp::SetData(self.set_data()),
            6 => MultiOp::Delete(self.delete()),
            _ => MultiOp::Check(CheckVersionRequest {
                path: Some(self.path().into()),
                version: -1,
            }),
        }
    }

    fn create(&mut self, ephemeral: bool) -> CreateRequest<'static> {
        let flags = match (ephemeral, self.dice.below(3)) {
            (false, 0) => create_mode::PERSISTENT_SEQUENTIAL,
            (false, _) => create_mode::PERSISTENT,
            (true, 0) => create_mode::EPHEMERAL_SEQUENTIAL,
            (true, _) => create_mode::EPHEMERAL,
        };
        CreateRequest {
            path: Some(self.path().into()),
            data: self.data().map(Into::into),
            acl: self.acl(),
            flags,
        }
    }

    fn create_ttl(&mut self) -> CreateTtlRequest<'static> {
        CreateTtlRequest {
            path: Some(self.path().into()),
            data: self.data().map(Into::into),
            acl: self.acl(),
            flags: create_mode::PERSISTENT_WITH_TTL,
            ttl_ms: 1 + self.dice.below(20_000) as i64,
        }
    }

    fn set_data(&mut self) -> SetDataRequest<'static> {
        SetDataRequest {
            path: Some(self.path().into()),
            data: self.data().map(Into::into),
            version: if self.dice.once_in(8) { 1 } else { -1 },
        }
    }

    fn delete(&mut self) -> DeleteRequest<'static> {
        DeleteRequest {
            path: Some(self.path().into()),
            version: -1,
        }
    }

    /// Half of the paths are short, so that parents come and go under their children.
    fn path(&mut self) -> String {
        let mut path = String::new();
        loop {
            let name = self
                .dice
                .of(&["a", "b", "c", "d", "ä", "quite-a-long-name-0123456789"]);
            path.push('/');
            path.push_str(name);
            if path.len() > 24 || self.dice.once_in(2) {
                return path;
            }
        }
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        let len = match self.dice.below(16) {
            0 => return None,
            1 => 0,
            2..=9 => self.dice.below(40),
            10..=13 => self.dice.below(1200),
            14 => 512 * (1 + self.dice.below(4)),
            _ => self.dice.below(6000),
        } as usize;
        Some(match self.dice.below(4) {
            0 => vec![0; len],
            1 => {
                let mut data = vec![0; len];
                if let Some(byte) = data.last_mut() {
                    *byte = 1 << self.dice.below(8);
                }
                data
            }
            2 => vec![b'B'; len],
            _ => (0..len).map(|_| self.dice.any() as u8).collect(),
        })
    }

    fn acl(&mut self) -> Option<Vec<Acl<'static>>> {
        let open = Acl::new(perms::ALL, "world", "anyone");
        Some(match self.dice.below(6) {
            0 => vec![Acl::new(perms::ALL, "ip", "127.0.0.1")],
            1 => vec![open, Acl::new(perms::READ, "ip", "10.0.0.1")],
            2 => {
                let ip = ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"];
                vec![
                    open,
                    Acl::new(1 << self.dice.below(4), "ip", self.dice.of(&ip)),
                ]
            }
            _ => vec![open],
        })
    }
}
