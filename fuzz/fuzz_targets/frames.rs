//! Requests on several connections with sessions: whole frames and frames cut anywhere, in a
//! pipeline or one by one, connections that end and come back, time that passes.

#![no_main]

use zooid_fuzz::memory::Bound;
use zooid_fuzz::node::Server;
use zooid_fuzz::{Bytes, target};

// A node costs some 500 bytes in all and a create of the shortest path 21 bytes, a multi less for
// each. A read can answer with all the children or data that an input made, and a multi of reads
// with many times that: so the fixed part is what a connection may have waiting.
const BOUND: Bound = Bound {
    fixed: 4 << 20,
    per_byte: 1000,
};

target!(BOUND, |input: &[u8]| {
    let mut input = Bytes(input);
    let settings = Server::settings(input.byte());
    Server::new(settings).drive(input);
});
