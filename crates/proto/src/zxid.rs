//! Transaction ids: the epoch of a leader in the high 32 bits, a counter in the low 32.

/// The epoch of a zxid.
pub fn epoch(zxid: i64) -> i64 {
    zxid >> 32
}

/// The counter of a zxid within its epoch.
pub fn counter(zxid: i64) -> u32 {
    zxid as u32
}

/// The zxid of an epoch and a counter.
pub fn make(epoch: i64, counter: u32) -> i64 {
    epoch << 32 | i64::from(counter)
}

/// Whether the transaction `next` may be the one behind `last`: the next of its epoch, or the first of
/// a later one.
pub fn follows(last: i64, next: i64) -> bool {
    let same_epoch = epoch(next) == epoch(last) && last.checked_add(1) == Some(next);
    same_epoch || (epoch(next) > epoch(last) && counter(next) == 1)
}

#[cfg(test)]
mod tests {
    #[test]
    fn parts_and_whole_agree() {
        let zxid = super::make(7, 0xFFFF_FFFE);
        assert_eq!((super::epoch(zxid), super::counter(zxid)), (7, 0xFFFF_FFFE));
    }
}
