//! What the server makes of the configuration file when the members have changed.

use crate::{Key, properties};

/// The configuration file, with the members taken out and the dynamic file named that holds them
/// now. Java writes the settings that are left in any order, and no comments; here all that stays is
/// left as it is.
///
/// `erase_client`: the own line in the dynamic file has the address for clients.
pub fn with_dynamic_file(text: &[u8], dynamic_file: &str, erase_client: bool) -> Vec<u8> {
    let mut gone = [
        "server.",
        "group",
        "weight",
        "dynamicConfigFile",
        "peerType",
    ]
    .to_vec();
    if erase_client {
        gone.push("clientPort");
    }
    let entries = properties::parse(text).unwrap_or_default();
    let dropped: Vec<usize> = entries
        .iter()
        .filter(|entry| gone.iter().any(|key| entry.key.trim().starts_with(key)))
        .map(|entry| entry.line)
        .collect();
    let mut out = Vec::with_capacity(text.len() + dynamic_file.len() + 32);
    let mut dropping = false;
    for (index, line) in natural_lines(text).into_iter().enumerate() {
        dropping |= dropped.contains(&(index + 1));
        if !dropping {
            out.extend_from_slice(line);
        }
        dropping &= is_continued(line);
    }
    if out.last().is_some_and(|&last| last != b'\n') {
        out.push(b'\n');
    }
    let key = Key::DynamicConfigFile.spec().name;
    out.extend_from_slice(format!("{key}={}\n", escaped(dynamic_file)).as_bytes());
    out
}

/// Lines with what ends them.
fn natural_lines(text: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        let ending = if rest[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        let (line, behind) = rest.split_at(end + ending);
        lines.push(line);
        rest = behind;
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn is_continued(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    line.iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1
}

/// A value that any reader of properties understands: their bytes are ISO-8859-1.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => out.push_str("\\\\"),
            Ok(byte) if byte.is_ascii_graphic() || byte == b' ' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, erase_client: bool) -> String {
        let bytes = with_dynamic_file(text.as_bytes(), "/etc/zoo.cfg.dynamic.1", erase_client);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn members_go_and_the_rest_stays_as_it_is() {
        let text = "# mine\ntickTime=2000\r\nserver.1=a:1:2\nserver.2 = \\\n  b:1:2\n\
                    dataDir=./a\\\n  b\npeerType=observer\nclientPort=1\nclientPortAddress=a\n\
                    group.1=1:2\nweight.1=3\ndynamicConfigFile=/old\ninitLimit=5";
        assert_eq!(
            rewritten(text, false),
            "# mine\ntickTime=2000\r\ndataDir=./a\\\n  b\nclientPort=1\nclientPortAddress=a\n\
             initLimit=5\ndynamicConfigFile=/etc/zoo.cfg.dynamic.1\n"
        );
        assert!(!rewritten(text, true).contains("clientPort"));
        assert_eq!(
            rewritten("", true),
            "dynamicConfigFile=/etc/zoo.cfg.dynamic.1\n"
        );
    }

    #[test]
    fn what_is_rewritten_twice_names_one_file() {
        let once = rewritten("initLimit=5\n", false);
        assert_eq!(rewritten(&once, false), once);
    }

    #[test]
    fn paths_of_any_letters_are_read_back() {
        let path = "/with \\ and ü and \u{1f980}/zoo.cfg.dynamic.1";
        let text = with_dynamic_file(b"", path, false);
        let entries = properties::parse(&text).unwrap();
        assert_eq!(entries[0].value, path);
    }
}
