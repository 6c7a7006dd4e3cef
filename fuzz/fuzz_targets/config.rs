//! `zoo.cfg`, and the words of `JVMFLAGS`.

#![no_main]

use zooid_config::{Config, Sources, SystemProperty, check, properties};
use zooid_fuzz::memory::Bound;
use zooid_fuzz::target;

// The table of keys is built for each start; each line may become a remark with the names of the
// keys that it may have meant.
const BOUND: Bound = Bound {
    fixed: 512 << 10,
    per_byte: 500,
};

target!(BOUND, |input: &[u8]| {
    let _ = properties::parse(input);
    // Behind a zero stands the environment.
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let text = parts.next().unwrap_or_default();
    let flags = String::from_utf8_lossy(parts.next().unwrap_or_default());
    for word in flags.split_whitespace() {
        let _ = SystemProperty::from_word(word);
    }
    let sources = Sources {
        text: Some(text.to_vec()),
        env: vec![("JVMFLAGS".to_owned(), flags.into_owned())],
        ..Sources::default()
    };
    let loaded = Config::load(sources.clone());
    let report = check(sources);
    match loaded {
        Ok(loaded) => {
            assert_eq!(report.exit_code, 0, "{}", report.text);
            for warning in &loaded.warnings {
                let _ = warning.to_string();
            }
        }
        Err(error) => {
            assert_ne!(report.exit_code, 0, "{error}");
            assert!(!error.to_string().is_empty());
        }
    }
});
