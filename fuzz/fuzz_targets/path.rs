//! Paths of nodes.

#![no_main]

use zooid_fuzz::memory::Bound;
use zooid_fuzz::target;
use zooid_proto::path::validate;

// Checking takes nothing; a refusal may be printed.
const BOUND: Bound = Bound {
    fixed: 4 << 10,
    per_byte: 8,
};

target!(BOUND, |input: &[u8]| {
    let Ok(path) = std::str::from_utf8(input) else {
        return;
    };
    match validate(path) {
        Ok(()) => {
            assert!(path.starts_with('/') && !path.contains("//"));
            assert!(path == "/" || !path.ends_with('/'));
            // What has a valid name below it is valid itself.
            if let Some((parent, _)) = path.rsplit_once('/')
                && !parent.is_empty()
            {
                assert_eq!(validate(parent), Ok(()));
            }
        }
        Err(refusal) => drop(refusal.to_string()),
    }
});
