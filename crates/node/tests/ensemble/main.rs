//! Three members in one thread, each with its clients: streams between them that keep their order,
//! disks that are done at once, and a clock that the test moves.

mod leader;
mod local;
mod measures;
mod random;
mod read_only;
mod world;
