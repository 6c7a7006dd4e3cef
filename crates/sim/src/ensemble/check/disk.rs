//! What is durable: D2 epochs in order, D3 an epoch means its history, D5 nothing is said before it
//! is durable, D6 epochs only grow, D7 logs without gaps.

use super::order::follows;
use crate::ensemble::disk::{Disk, Image};
use crate::ensemble::history::{Chain, Histories};
use zooid_proto::zxid::epoch;
use zooid_zab::DiskOp;

/// After an operation has become durable: `before` is what the epochs were.
pub fn durable(image: &Image, op: &DiskOp, before: (i64, i64)) -> Result<(), String> {
    if image.accepted < before.0 || image.current < before.1 {
        return Err(format!(
            "D6: acceptedEpoch {} -> {}, currentEpoch {} -> {}",
            before.0, image.accepted, before.1, image.current
        ));
    }
    if image.current > image.accepted || epoch(image.last_zxid()) > image.accepted {
        return Err(format!(
            "D2: the last zxid is {:x}, currentEpoch {}, acceptedEpoch {}",
            image.last_zxid(),
            image.current,
            image.accepted
        ));
    }
    if let (DiskOp::Append(txn), [.., last, _]) = (op, &image.log[..])
        && !follows(last.zxid, txn.zxid)
    {
        return Err(format!(
            "D7: {:x} is logged behind {:x}",
            txn.zxid, last.zxid
        ));
    }
    if let (DiskOp::Append(txn), [_]) = (op, &image.log[..])
        && let Some((zxid, _)) = image.snapshots.last()
        && !follows(*zxid, txn.zxid)
    {
        return Err(format!(
            "D7: {:x} is logged behind a snapshot of {zxid:x}",
            txn.zxid
        ));
    }
    Ok(())
}

/// `currentEpoch` is durable: so must be the history that its leader began with.
pub fn has_history(
    image: &Image,
    initial: Option<Chain>,
    histories: &mut Histories,
) -> Result<(), String> {
    let chain = image.chain(histories);
    let Some(initial) = initial else {
        return Ok(());
    };
    let next = histories.prefix(chain, histories.length(initial) + 1);
    let goes_on = next == initial || epoch(histories.last(next)) >= image.current;
    if histories.contains(chain, initial) && goes_on {
        return Ok(());
    }
    Err(format!(
        "D3: currentEpoch {} is durable with {}, its leader began with {}",
        image.current,
        histories.tail(chain, 6),
        histories.tail(initial, 6)
    ))
}

/// ACK of a transaction leaves.
pub fn acknowledges(disk: &Disk, zxid: i64) -> Result<(), String> {
    let durable = disk.image.log.last().map_or(0, |txn| txn.zxid);
    if disk.image.last_zxid() < zxid {
        return Err(format!(
            "D5: {zxid:x} is acknowledged and {durable:x} is durable"
        ));
    }
    Ok(())
}

/// ACK of the initial history of an epoch leaves.
pub fn acknowledges_history(disk: &Disk, of_epoch: i64) -> Result<(), String> {
    if disk.image.current != of_epoch {
        return Err(format!(
            "D5: the history of epoch {of_epoch} is acknowledged with currentEpoch {}",
            disk.image.current
        ));
    }
    let unsafe_op = |op: &DiskOp| {
        matches!(
            op,
            DiskOp::Truncate { .. } | DiskOp::InstallSnapshot { .. } | DiskOp::CurrentEpoch(_)
        )
    };
    if let Some(pending) = disk.pending.iter().find(|pending| unsafe_op(&pending.op)) {
        return Err(format!(
            "D5: a history is acknowledged while {:?} is under way",
            pending.op
        ));
    }
    Ok(())
}

/// An epoch is promised or announced.
pub fn speaks_of_epoch(disk: &Disk, of_epoch: i64) -> Result<(), String> {
    if disk.image.accepted < of_epoch {
        return Err(format!(
            "D5: epoch {of_epoch} is spoken of with acceptedEpoch {}",
            disk.image.accepted
        ));
    }
    Ok(())
}
