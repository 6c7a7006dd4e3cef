//! S1: nothing is done for a session that has been closed, and what a session asked for is done in
//! that order.

use std::collections::{BTreeMap, BTreeSet};

use zooid_proto::txn::kind;

use crate::ensemble::machine::Origin;

/// What has happened to sessions, in the order in which it was delivered first.
#[derive(Debug, Default)]
pub struct Sessions {
    closed: BTreeSet<i64>,
    last_cxid: BTreeMap<i64, i32>,
    /// Observers go to followers: those that share one are one owner to the leader, so that what a client
    /// left behind at one of them may come after what it asked for at the other, in Java as well.
    shared_owners: bool,
}

impl Sessions {
    /// Where observers go to followers (`shared_owners`) or not.
    pub fn new(shared_owners: bool) -> Sessions {
        Sessions {
            shared_owners,
            ..Sessions::default()
        }
    }

    /// A transaction is delivered for the first time.
    pub fn delivered(&mut self, zxid: i64, (session, cxid, txn): Origin) -> Result<(), String> {
        if session == 0 || txn == kind::ERROR {
            return Ok(());
        }
        if self.closed.contains(&session) && txn != kind::CLOSE_SESSION {
            return Err(format!("S1: {zxid:x} is for session {session:x}, closed"));
        }
        if txn == kind::CLOSE_SESSION {
            self.closed.insert(session);
            return Ok(());
        }
        let last = self.last_cxid.insert(session, cxid);
        if self.shared_owners {
            return Ok(());
        }
        if last.is_some_and(|last| last >= cxid) {
            return Err(format!(
                "S1: {zxid:x} is request {cxid} of session {session:x}, after {last:?}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_and_reordered_writes_are_seen() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.delivered(1, (5, 0, kind::CREATE_SESSION)), Ok(()));
        assert_eq!(sessions.delivered(2, (5, 2, kind::SET_DATA)), Ok(()));
        assert!(sessions.delivered(3, (5, 1, kind::SET_DATA)).is_err());
        assert_eq!(sessions.delivered(4, (5, 3, kind::CLOSE_SESSION)), Ok(()));
        assert!(sessions.delivered(5, (5, 4, kind::SET_DATA)).is_err());
    }
}
