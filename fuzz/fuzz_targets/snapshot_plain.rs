//! Snapshots, compression: plain.

#![no_main]

use zooid_fuzz::files;
use zooid_store::snapshot::Compression;

#[global_allocator]
static MEMORY: zooid_fuzz::memory::Counting = zooid_fuzz::memory::Counting;

// The bounds depend on what is in the file: the function checks them.
libfuzzer_sys::fuzz_target!(|input: &[u8]| files::snapshot(Compression::Plain, input));
