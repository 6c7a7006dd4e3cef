//! Limits and statistics of quotas: the text of their nodes.

#![no_main]

use zooid_fuzz::memory::Bound;
use zooid_fuzz::target;
use zooid_tree::QuotaStats;

// Keys and numbers of at least four bytes, in a map.
const BOUND: Bound = Bound {
    fixed: 16 << 10,
    per_byte: 100,
};

target!(BOUND, |input: &[u8]| {
    let Some(read) = QuotaStats::of_data(Some(input)) else {
        return;
    };
    let written = read.to_string();
    let again = QuotaStats::parse(&written).expect("what was written can be read");
    let numbers = |stats: &QuotaStats| {
        [
            stats.count(),
            stats.bytes(),
            stats.count_hard_limit(),
            stats.byte_hard_limit(),
        ]
    };
    assert_eq!(numbers(&read), numbers(&again), "{written:?}");
    assert_eq!(written, again.to_string());
});
