//! The scenarios of the protocol's specification, by number, each a kind of run that finds the
//! mistake it is named after: which guard it watches, and what must have been seen.

use super::plan::Plan;

/// A guard of the protocol that a test takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// One in the peers.
    #[cfg(feature = "mutations")]
    Peer(zooid_zab::mutations::Guard),
    /// One in what drives a peer.
    Driver(Driver),
}

/// A promise of those that drive a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A truncation is durable when it says so.
    TruncationDurable,
    /// A truncation drops states that have what is cut.
    TruncationDropsStates,
    /// A state that broke off leaves nothing.
    BrokenStateDropped,
    /// A disk that fails ends the server.
    DiskErrorEnds,
    /// An epoch is durable when it says so: file and name.
    EpochDurable,
}

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// Its numbers in the specification.
    pub numbers: &'static [u8],
    /// What happens.
    pub name: &'static str,
    /// Kinds of faults, by number.
    pub kinds: &'static [usize],
    /// How many.
    pub count: u64,
    /// What is special about the ensemble.
    pub shape: fn(&mut Plan),
    /// What some of the runs must see.
    pub marks: &'static [&'static str],
    /// The guards that it watches.
    pub guards: &'static [Guard],
}

impl Scenario {
    /// The plan of a seed.
    pub fn plan(&self, seed: u64) -> Plan {
        let number = u64::from(self.numbers[0]);
        Plan::themed(seed << 8 | number, self.kinds, self.count, self.shape)
    }
}
