//! What a leader sends a learner to bring it to where it is.

use tracing::info;
use zooid_proto::quorum::FromLeader;
use zooid_proto::zxid::counter;

use crate::core::Core;
use crate::history::SyncPlan;
use crate::io::{ConnId, Effect, Sid};

/// Decides, and sends DIFF, TRUNC or SNAP with all up to `top` behind `position`.
pub(crate) fn send(core: &mut Core, conn: ConnId, sid: Sid, position: i64, top: i64) {
    let mut plan = core.store.history().plan(position, top);
    if core.model.is_java() && position > top && counter(position) == 0 {
        plan = SyncPlan::Snap;
    }
    let (name, packet, after) = match plan {
        SyncPlan::Diff { zxid, after } => ("DIFF", FromLeader::Diff { zxid }, after),
        SyncPlan::Trunc { zxid } => ("TRUNC", FromLeader::Trunc { zxid }, zxid),
        SyncPlan::Snap => {
            info!(
                sid = core.params.sid,
                learner = sid,
                position = format_args!("0x{position:x}"),
                "SNAP at 0x{top:x}"
            );
            send_snapshot(core, conn, top);
            return;
        }
    };
    core.tell_learner(conn, &packet);
    let feed = core.store.history().feed(after, top);
    let (entries, from_log) = (feed.entries, feed.from_log);
    let mut bytes = Vec::new();
    for proposal in feed.from_memory {
        let zxid = proposal.zxid;
        let txn = proposal.bytes.as_ref().into();
        FromLeader::Proposal { zxid, txn }.encode(&mut bytes);
        FromLeader::Commit { zxid }.encode(&mut bytes);
    }
    info!(
        sid = core.params.sid,
        learner = sid,
        position = format_args!("0x{position:x}"),
        entries,
        bytes = bytes.len(),
        from_log = from_log.is_some(),
        "{name} from 0x{after:x} to 0x{top:x}"
    );
    if let Some((after, upto)) = from_log {
        core.out.push(Effect::SendLog { conn, after, upto });
    }
    if !bytes.is_empty() {
        core.out.send_on(conn, bytes);
    }
}

/// The state as it is: everything that is committed, and nothing else, so that what is forwarded goes
/// on exactly behind it.
fn send_snapshot(core: &mut Core, conn: ConnId, top: i64) {
    assert_eq!(
        core.store.applied(),
        top,
        "a snapshot is of what was applied"
    );
    core.tell_learner(conn, &FromLeader::Snap { zxid: top });
    core.out.push(Effect::SendSnapshot { conn, zxid: top });
}
