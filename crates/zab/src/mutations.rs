//! Guards of the protocol that a test may take away, to see that their absence is found. Without the
//! feature `mutations` there is no way to do so, and every question here is answered at compile time.

#[cfg(feature = "mutations")]
use std::cell::Cell;

/// A guard.
#[cfg_attr(
    not(feature = "mutations"),
    allow(unreachable_pub, reason = "public where the module is")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// A follower acknowledges what is on its disk only.
    AckAfterFlush,
    /// A learner acknowledges NEWLEADER when history and epoch are on its disk.
    HistoryAckAfterFlush,
    /// `currentEpoch` is written behind the history of the epoch.
    EpochAfterHistory,
    /// A leader counts itself for what is on its disk only.
    OwnAckAfterFlush,
    /// A learner that joins is sent what is outstanding.
    OutstandingForwarded,
    /// What is outstanding goes behind NEWLEADER, and not before it as Java sends it.
    OutstandingBehind,
    /// COMMIT between NEWLEADER and UPTODATE counts.
    EarlyCommitKept,
    /// Nothing is served from the log over a state that came whole.
    BarrierAtState,
    /// A vote waits for what the role before asked of the disk.
    QuietBeforeVote,
    /// ACKEPOCH promises an epoch that is on the disk.
    PromiseAfterFlush,
    /// LEADERINFO tells an epoch that is on the disk.
    LeaderInfoAfterFlush,
    /// An epoch that was accepted before is not promised again.
    NoSecondPromise,
    /// The new epoch is above all that are accepted.
    EpochAboveAll,
    /// Only voters are counted when an epoch is agreed on.
    VotersOnly,
    /// A leader does not count who has seen more than it has.
    PositionsCompared,
    /// Who has the newest history is elected. An election that fails in this costs time, and nothing
    /// else while the other guards stand.
    BestVoteWins,
    /// COMMIT needs quorums.
    CommitNeedsQuorum,
    /// A leader serves when a quorum has its history.
    HistoryNeedsQuorum,
    /// A learner serves after UPTODATE.
    ServeAfterUpToDate,
    /// A leader without a quorum in touch stops.
    LonelyLeaderStops,
    /// A learner leaves a leader that is silent.
    SilentLeaderLeft,
    /// While a configuration waits for its commit, both must agree.
    BothQuorums,
    /// A leader that named another one commits no more.
    HandOverEnds,
}

#[cfg(feature = "mutations")]
thread_local! {
    static TAKEN: Cell<[Option<Guard>; 2]> = const { Cell::new([None; 2]) };
}

/// Takes a guard away in all peers of this thread, or none.
#[cfg(feature = "mutations")]
pub fn take_away(guard: Option<Guard>) {
    TAKEN.set([guard, None]);
}

/// Takes two guards away, where one alone would hide the absence of the other.
#[cfg(feature = "mutations")]
pub fn take_both_away(one: Guard, other: Guard) {
    TAKEN.set([Some(one), Some(other)]);
}

/// Whether a guard is taken away.
#[cfg(feature = "mutations")]
pub(crate) fn without(guard: Guard) -> bool {
    TAKEN.get().contains(&Some(guard))
}

/// Whether a guard is taken away: never.
#[cfg(not(feature = "mutations"))]
pub(crate) fn without(_: Guard) -> bool {
    false
}
