//! The store against data directories that Apache ZooKeeper 3.9.5 wrote, against damage, and
//! against crashes.

mod damage;
mod failing;
mod fixtures;
mod model;
mod purging;
mod real;
mod recovery;
mod snapshots;
mod truncation;
mod vectors;
