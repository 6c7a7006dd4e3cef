//! What clients see: a write that began after another was answered is behind it; after a `sync` a
//! client sees all that was answered before; no client ever goes back.

/// What had been answered when a request began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// The newest write that any client had an answer to.
    pub answered: i64,
    /// How often leadership had changed, and whether one server led alone.
    pub leadership: (u64, bool),
}

/// A write is answered with its zxid.
pub fn write(before: Before, zxid: i64, seen: i64) -> Result<(), String> {
    if zxid <= before.answered {
        return Err(format!(
            "clients: a write got {zxid:x} and began after {:x} was answered",
            before.answered
        ));
    }
    if zxid <= seen {
        return Err(format!(
            "clients: a write got {zxid:x}, its client has seen {seen:x}"
        ));
    }
    Ok(())
}

/// A read at a state.
pub fn read(zxid: i64, seen: i64) -> Result<(), String> {
    if zxid < seen {
        return Err(format!(
            "clients: a read at {zxid:x} by a client that has seen {seen:x}"
        ));
    }
    Ok(())
}

/// A read behind a `sync`. While leaders change, the old one may answer for a moment, as in Java,
/// where the leader does not ask a quorum. True if that was not so and it could be checked.
pub fn sync(before: Before, leadership: (u64, bool), zxid: i64) -> Result<bool, String> {
    if leadership != before.leadership || !leadership.1 {
        return Ok(false);
    }
    if zxid < before.answered {
        return Err(format!(
            "clients: a sync ended at {zxid:x} and began after {:x} was answered",
            before.answered
        ));
    }
    Ok(true)
}
