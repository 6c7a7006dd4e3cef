//! Learning as a member of Java does it: see [`crate::java`].

use super::Learner;
use crate::core::{Core, Next};
use crate::io::Sid;

impl Learner {
    /// A member of Java is told of a commit before it serves (`Learner.syncWithLeader`).
    pub(super) fn java_commit(&mut self, zxid: i64, designated: Option<Sid>, core: &mut Core) {
        if zxid <= self.in_snapshot {
            return;
        }
        let known = self.unlogged.iter().any(|unlogged| unlogged.zxid == zxid);
        if !known {
            // ZOOKEEPER-4394: what came before NEWLEADER is not known behind it any more.
            let why = format!("COMMIT of 0x{zxid:x}, which is not in the queue");
            return core.leave(Next::Look, why);
        }
        self.committed.push_back((zxid, designated));
    }

    /// A member of Java logs what is committed (3.9.5), or all that it was sent (3.8.6), at NEWLEADER.
    pub(super) fn java_new_leader(&mut self, core: &mut Core) {
        while let Some(first) = self.unlogged.front()
            && let committed = self.committed.front().is_some_and(|it| it.0 == first.zxid)
            && (committed || core.model.is_java_38())
        {
            let proposal = self.unlogged.pop_front().expect("it was there");
            self.append(proposal, core);
            if committed && let Some((zxid, designated)) = self.committed.pop_front() {
                self.apply(zxid, designated, core);
            }
        }
    }

    /// A member of Java logs the rest, and hears of the commits that it has kept.
    pub(super) fn java_up_to_date(&mut self, core: &mut Core) {
        for proposal in std::mem::take(&mut self.unlogged) {
            self.append(proposal, core);
        }
        for (zxid, designated) in std::mem::take(&mut self.committed) {
            if core.leaving.is_none() {
                self.commit(zxid, designated, core);
            }
        }
        self.acknowledge(core);
    }
}
