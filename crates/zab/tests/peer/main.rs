//! Peers in ensembles, and against packets as Java sends and expects them.

mod ensemble;
mod members;
mod storm;
mod traces;
mod world;
