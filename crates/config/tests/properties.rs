//! The reader of properties files against answers of `java.util.Properties` of OpenJDK 17.

use std::collections::BTreeMap;

use proptest::prelude::*;
use zooid_config::properties;

/// One line per case, all in hexadecimal: the bytes of a file, then `key=value` pairs in UTF-8, or
/// the word `malformed`.
const ANSWERS: &str = include_str!("data/java-properties.txt");

#[test]
fn section_2_files_are_read_as_java_reads_them() {
    let mut different = Vec::new();
    for (index, line) in ANSWERS.lines().enumerate() {
        let (input, answer) = line.split_once(' ').unwrap_or((line, ""));
        let input = bytes(input);
        let expected = (answer != "malformed").then(|| {
            answer
                .split_whitespace()
                .map(|pair| pair.split_once('=').unwrap())
                .map(|(key, value)| (text(key), text(value)))
                .collect::<BTreeMap<_, _>>()
        });
        let read = properties::parse(&input).ok();
        let read = read.map(|entries| {
            entries
                .into_iter()
                .map(|entry| (entry.key, entry.value))
                .collect::<BTreeMap<_, _>>()
        });
        if read != expected {
            let input = String::from_utf8_lossy(&input).into_owned();
            different.push(format!(
                "line {}: {input:?}: {read:?}, Java {expected:?}",
                index + 1
            ));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}

proptest! {
    #[test]
    fn no_input_makes_the_reader_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = properties::parse(&input);
    }

    #[test]
    fn an_escaped_text_comes_back(key in "\\PC{1,12}", value in "\\PC{0,12}") {
        let escape = |text: &str| -> String {
            text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
        };
        let line = format!("{}={}", escape(&key), escape(&value));
        let entries = properties::parse(line.as_bytes()).unwrap();
        prop_assert_eq!(entries.len(), 1);
        prop_assert_eq!((&entries[0].key, &entries[0].value), (&key, &value));
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits
        .map(|d| u8::from_str_radix(std::str::from_utf8(d).unwrap(), 16).unwrap())
        .collect()
}

fn text(hex: &str) -> String {
    String::from_utf8(bytes(hex)).unwrap()
}
