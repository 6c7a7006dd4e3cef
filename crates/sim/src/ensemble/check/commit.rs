//! A transaction that its leader commits is on the disks of a quorum: what the quorum has promised
//! stays decided whatever happens later (R1: of both quorums while members change).

use zooid_proto::members::Membership;
use zooid_zab::Proposal;

use super::quorum::is_quorum;
use crate::ensemble::disk::Image;

/// Checks it for a configuration; `image` gives the durable part of a server's disk.
pub fn on_a_quorum<'a>(
    members: &Membership,
    txn: &Proposal,
    image: impl Fn(i64) -> Option<&'a Image>,
) -> Result<(), String> {
    let holds = |id| image(id).is_some_and(|image| image.holds(txn));
    if is_quorum(members, holds) {
        return Ok(());
    }
    let held: Vec<i64> = members
        .members
        .keys()
        .copied()
        .filter(|id| holds(*id))
        .collect();
    Err(format!(
        "D1: {:x} is committed and on the disks of {held:?} only",
        txn.zxid
    ))
}

/// Checks that an epoch is the current one of a quorum, or was.
pub fn epoch_on_a_quorum<'a>(
    members: &Membership,
    epoch: i64,
    image: impl Fn(i64) -> Option<&'a Image>,
) -> Result<(), String> {
    if is_quorum(members, |id| {
        image(id).is_some_and(|image| image.current >= epoch)
    }) {
        return Ok(());
    }
    Err(format!(
        "I2: the leader of epoch {epoch} is established without a quorum"
    ))
}
