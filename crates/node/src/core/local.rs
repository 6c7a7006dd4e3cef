//! Sessions that only this server knows of, and what is left of a server without a leader
//! (`UpgradeableSessionTracker`, `ReadOnlyZooKeeperServer` in Java).

use super::{Answer, Core, InFlight, Part, Submit};
use crate::link::Close;
use crate::multi;
use crate::sessions::Session;
use crate::time::Now;
use std::sync::Arc;
use zooid_proto::client::{MultiOp, create_mode};
use zooid_proto::ops::Request;
use zooid_proto::{ErrorCode, OpCode};

/// What a write of a local session needs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// All must know of the session.
    Upgrade,
    /// They must, and may not.
    Refused,
}

impl Core {
    /// There is no leader, and there has been none for a while: reads are answered from what is
    /// here. Nothing that is done now makes a transaction or moves the tree.
    pub(crate) fn serve_read_only(&mut self, now: Now) {
        self.advance();
        self.begin_term(Part::ReadOnly, now);
        self.shared.start_read_only();
    }

    /// Takes what a connection submits to a server without a leader: sessions of its own end, all else
    /// was answered before or belongs to a term that is over.
    pub(super) fn submit_read_only(&mut self, submit: Submit) {
        match submit {
            Submit::Write(request)
                if request.op == OpCode::CloseSession
                    && self.is_current(&request.session)
                    && self.shared.sessions.begin_close(&request.session) =>
            {
                request.session.begin_write();
                self.queue.push_back(InFlight {
                    append: None,
                    answer: Answer::CloseLocal {
                        link: request.link,
                        session: request.session,
                        xid: request.xid,
                        received_ms: request.received_ms,
                    },
                    large_bytes: 0,
                });
            }
            submit => self.drop_submit(submit),
        }
    }

    /// Whether a session is one of this term: a connection of the term before may still be about
    /// to end, and a local session went with that term.
    pub(super) fn is_current(&self, session: &Arc<Session>) -> bool {
        !session.is_local() || self.shared.sessions.holds(session)
    }

    /// What must happen before a write. Java looks at these operations only: another that asks for
    /// an ephemeral node is refused by the leader (`QuorumZooKeeperServer.checkUpgradeSession`).
    pub(super) fn need(&self, session: &Session, op: OpCode, body: &[u8]) -> Need {
        if !session.is_local() || !makes_ephemeral(op, body) {
            Need::Nothing
        } else if self.shared.settings.local_sessions_upgrading {
            Need::Upgrade
        } else {
            Need::Refused
        }
    }

    /// Ends the local sessions whose time has come, on a server that does not lead.
    pub(super) fn expire_local(&mut self, now: Now) {
        for session in self.expiry.due(&self.shared.sessions, now) {
            self.tell_expired(&session);
            self.end_local(&session);
        }
    }

    /// The end of a local session: nobody else is told.
    pub(super) fn end_local(&self, session: &Session) {
        let removed = self.shared.sessions.remove(session.id);
        if let Some(link) = removed.and_then(|session| session.link()) {
            link.close(Close::Now);
        }
    }
}

fn makes_ephemeral(op: OpCode, body: &[u8]) -> bool {
    match op {
        OpCode::Create | OpCode::Create2 => match Request::decode(op, body) {
            Ok(Request::Create(r) | Request::Create2(r)) => create_mode::is_ephemeral(r.flags),
            _ => false,
        },
        OpCode::Multi => multi::decode(body).is_ok_and(|ops| {
            ops.iter().any(|op| {
                matches!(op, MultiOp::Create(r) | MultiOp::Create2(r)
                    if create_mode::is_ephemeral(r.flags))
            })
        }),
        _ => false,
    }
}

/// What a client is told of its own request, whatever the transaction says: the leader does not
/// know why a learner made no global session of a local one. A multi shows the transaction's.
pub(super) fn refusal(need: Need, op: OpCode) -> Option<ErrorCode> {
    (need == Need::Refused && op != OpCode::Multi).then_some(ErrorCode::EphemeralOnLocalSession)
}
