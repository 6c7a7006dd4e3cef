//! What a leader sends a learner to bring it to where it is.

use tracing::{debug, info};
use zooid_proto::quorum::FromLeader;
use zooid_proto::zxid::counter;

use crate::boot::FromLog;
use crate::core::Core;
use crate::history::{Feed, SyncPlan};
use crate::io::{ConnId, Effect, Sid, SyncReport};

/// How a learner at `position` is brought to `top`.
pub(crate) fn plan(core: &Core, position: i64, top: i64) -> SyncPlan {
    let history = core.store.history();
    let java = core.model.is_java() && position > top && counter(position) == 0;
    if java || core.params.force_snapshot {
        return SyncPlan::Snap;
    }
    match history.plan(position, top) {
        SyncPlan::Diff { after, .. } | SyncPlan::Trunc { zxid: after }
            if !is_near(core, &history.feed(after, top)) =>
        {
            SyncPlan::Snap
        }
        plan => plan,
    }
}

fn is_near(core: &Core, feed: &Feed<'_>) -> bool {
    let nodes = core.state_nodes;
    feed.from_log.is_none()
        || match core.params.from_log {
            FromLog::Usual => feed.entries <= (nodes / 3).max(core.params.history_entries as u64),
            FromLog::PerMille(entries) => {
                u128::from(feed.entries) * 1000 <= u128::from(nodes) * u128::from(entries)
            }
            FromLog::Always => true,
            FromLog::Never => false,
        }
}

/// Sends DIFF, TRUNC or SNAP with all up to `top` behind `position`. What is to be told of that when it
/// is done.
pub(crate) fn send(
    core: &mut Core,
    plan: SyncPlan,
    conn: ConnId,
    sid: Sid,
    observer: bool,
    position: i64,
    top: i64,
) -> SyncReport {
    let mut report = SyncReport {
        conn,
        learner: sid,
        observer,
        kind: "SNAP",
        from: position,
        back_to: None,
        to: top,
        entries: 0,
        bytes: 0,
        ms: 0,
        done: false,
    };
    let (name, packet, after) = match plan {
        SyncPlan::Diff { zxid, after } => ("DIFF", FromLeader::Diff { zxid }, after),
        SyncPlan::Trunc { zxid } => ("TRUNC", FromLeader::Trunc { zxid }, zxid),
        SyncPlan::Snap => {
            send_snapshot(core, conn, sid, top);
            return report;
        }
    };
    let feed = core.store.history().feed(after, top);
    let (entries, from_log) = (feed.entries, feed.from_log);
    let mut bytes = Vec::new();
    for proposal in feed.from_memory {
        let zxid = proposal.zxid;
        let txn = proposal.bytes.as_ref().into();
        FromLeader::Proposal { zxid, txn }.encode(&mut bytes);
        FromLeader::Commit { zxid }.encode(&mut bytes);
    }
    core.synced_by.0 += 1;
    core.tell_learner(conn, &packet);
    debug!(
        sid = core.params.sid,
        from_log = from_log.is_some(),
        "sending server {sid} what lies from 0x{after:x} to 0x{top:x}"
    );
    report.kind = name;
    report.back_to = matches!(plan, SyncPlan::Trunc { .. }).then_some(after);
    report.entries = entries;
    report.bytes = bytes.len() as u64;
    if let Some((after, upto)) = from_log {
        core.out.push(Effect::SendLog { conn, after, upto });
    }
    if !bytes.is_empty() {
        core.out.send_on(conn, bytes);
    }
    report
}

/// The state as it is: everything that is committed, and nothing else, so that what is forwarded goes
/// on exactly behind it.
fn send_snapshot(core: &mut Core, conn: ConnId, sid: Sid, top: i64) {
    assert_eq!(
        core.store.applied(),
        top,
        "a snapshot is of what was applied"
    );
    // It takes long where there is much of it: what comes of it is told when it is there.
    info!(
        sid = core.params.sid,
        "sending server {sid} the whole state at 0x{top:x}"
    );
    core.synced_by.1 += 1;
    core.tell_learner(conn, &FromLeader::Snap { zxid: top });
    core.out.push(Effect::SendSnapshot { conn, zxid: top });
}
