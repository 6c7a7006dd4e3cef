//! Configurations of the servers under random streams.

use crate::allowed::SUPER_FLAG;

/// One configuration.
#[derive(Debug)]
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    cfg: &'static [&'static str],
    /// Share of all requests, percent.
    pub(crate) share: u64,
    /// Sessions expire: the shortest timeout is short.
    pub(crate) expiry: bool,
    /// Writes are not pipelined, because quotas are enforced on what is applied.
    pub(crate) lockstep: bool,
    /// Ensembles run it: nothing in it changes the members.
    pub(crate) ensembles: bool,
}

/// Sweeps of containers take zxids at times of their own, so none happens here; disks are not
/// what these streams test.
const ALL: &[&str] = &[
    "tickTime=200",
    "maxSessionTimeout=3600000",
    "forceSync=no",
    "preAllocSize=1024",
];

/// All configurations.
pub(crate) const VARIANTS: &[Variant] = &[
    Variant {
        name: "plain",
        cfg: &["extendedTypesEnabled=true"],
        share: 60,
        expiry: true,
        lockstep: false,
        ensembles: true,
    },
    Variant {
        name: "quota",
        cfg: &[
            "extendedTypesEnabled=true",
            "enforceQuota=true",
            "minSessionTimeout=600000",
        ],
        share: 15,
        expiry: false,
        lockstep: true,
        ensembles: true,
    },
    Variant {
        name: "open",
        cfg: &[
            "skipACL=yes",
            "reconfigEnabled=true",
            "minSessionTimeout=600000",
            // Restarts read snapshots made while the requests came.
            "snapCount=300",
        ],
        share: 25,
        expiry: false,
        lockstep: false,
        ensembles: false,
    },
];

impl Variant {
    pub(crate) fn cfg(&self) -> Vec<&'static str> {
        [ALL, self.cfg].concat()
    }

    pub(crate) fn flags(&self) -> Vec<&'static str> {
        vec![SUPER_FLAG, "-Dznode.container.checkIntervalMs=100000000"]
    }
}
