//! How Java takes texts apart; what members write to each other depends on it.

use std::str::FromStr;

/// `Integer.parseInt`, `Long.parseLong`: an optional sign and decimal digits, nothing else.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `String.split` by one character: empty parts at the end are dropped, but the empty text is one.
pub(crate) fn split(text: &str, by: char) -> Vec<&str> {
    if text.is_empty() {
        return vec![""];
    }
    let mut parts: Vec<&str> = text.split(by).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

/// The order in which a `HashMap<Long, _>` of Java goes through its keys, for a map that has grown
/// key by key. Keys of one bucket are ascending here; there they are in the order of insertion.
pub(crate) fn hash_order<'k>(keys: impl Iterator<Item = &'k i64>) -> Vec<i64> {
    let mut keys: Vec<i64> = keys.copied().collect();
    let mut buckets = 16u32;
    while keys.len() > buckets as usize / 4 * 3 {
        buckets *= 2;
    }
    keys.sort_by_key(|&key| {
        let hash = (key ^ ((key as u64) >> 32) as i64) as u32;
        ((hash ^ (hash >> 16)) & (buckets - 1), key)
    });
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_drops_empty_parts_at_the_end_only() {
        assert_eq!(split("a:b::", ':'), ["a", "b"]);
        assert_eq!(split(":a", ':'), ["", "a"]);
        assert_eq!(split("", ':'), [""]);
        assert!(split(";", ';').is_empty());
    }
}
