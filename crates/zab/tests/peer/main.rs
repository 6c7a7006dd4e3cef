//! Peers in ensembles, and against packets as Java sends and expects them.

mod bench;
mod ensemble;
mod following;
mod leading;
mod members;
mod observing;
mod recorded;
mod settings;
mod storm;
mod world;
