//! The first bytes on the client port: handshakes, four-letter words and anything else.

#![no_main]

use zooid_fuzz::memory::Bound;
use zooid_fuzz::node::Server;
use zooid_fuzz::{Bytes, target};

// An empty server takes 1.1 MB, most of it the first chunks of its tables; each connection may
// leave a session.
const BOUND: Bound = Bound {
    fixed: 2 << 20,
    per_byte: 200,
};

target!(BOUND, |input: &[u8]| {
    let mut input = Bytes(input);
    let mut server = Server::new(Server::settings(input.byte()));
    // A session to attach to, should an input find its number and password.
    server.receive(0, &[], true);
    let mut which = 1;
    while !input.is_empty() {
        let len = input.short();
        server.greet(which, input.take(len));
        which = 3 - which;
    }
    server.check();
});
