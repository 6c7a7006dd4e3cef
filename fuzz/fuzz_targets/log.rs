//! One or two files of the transaction log: recovery, repair, and recovery again.

#![no_main]

use zooid_fuzz::memory::Bound;
use zooid_fuzz::{files, target};

// The function measures what the server does, without the files; this is for both.
const BOUND: Bound = Bound {
    fixed: 4 << 20,
    per_byte: 250,
};

target!(BOUND, files::log);
