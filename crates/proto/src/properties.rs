//! The text format of `zoo.cfg` and of member lists: what `java.util.Properties.load` reads.

use thiserror::Error;

/// One setting of a properties text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key with its escapes decoded, not trimmed.
    pub key: String,
    /// The value with its escapes decoded; trailing blanks are still there.
    pub value: String,
    /// The number of the line that the entry begins on, from 1.
    pub line: usize,
}

/// A `\u` escape that is not followed by four hexadecimal digits. Nothing else can fail.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "line {line}: \\u must be followed by four hexadecimal digits (a backslash is written \\\\)"
)]
pub struct MalformedEscape {
    /// The line that the entry begins on, from 1.
    pub line: usize,
}

/// Reads all entries in the order of the text, duplicates included (in Java the last one wins).
///
/// # Errors
/// All malformed `\u` escapes of the text, since Java refuses the whole file for one.
pub fn parse(bytes: &[u8]) -> Result<Vec<Entry>, Vec<MalformedEscape>> {
    parse_text(&latin1(bytes))
}

/// Reads all entries of a text that is decoded already, as `Properties.load(Reader)` does.
///
/// # Errors
/// As [`parse`].
pub fn parse_text(text: &str) -> Result<Vec<Entry>, Vec<MalformedEscape>> {
    let mut entries = Vec::new();
    let mut malformed = Vec::new();
    for (line, text) in logical_lines(text) {
        match entry(&text, line) {
            Some(entry) => entries.push(entry),
            None => malformed.push(MalformedEscape { line }),
        }
    }
    if malformed.is_empty() {
        Ok(entries)
    } else {
        Err(malformed)
    }
}

/// Decodes ISO-8859-1, the encoding of properties files: every byte is the character of its number.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

/// Joins continued lines; drops comments and blank lines.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, natural) in natural_lines(text).into_iter().enumerate() {
        let natural = natural.trim_start_matches(is_blank);
        let comment = natural.starts_with(['#', '!']);
        let (line, mut logical) = match open.take() {
            // A continuation of nothing is a beginning again.
            Some((_, logical)) if comment && logical.is_empty() => continue,
            Some(begun) => begun,
            None if natural.is_empty() || comment => continue,
            None => (index + 1, String::new()),
        };
        logical.push_str(natural);
        // An empty natural line after a continuation ends it, and its own text has no backslash.
        let backslashes = natural.bytes().rev().take_while(|&b| b == b'\\').count();
        if backslashes % 2 == 1 {
            logical.pop();
            open = Some((line, logical));
        } else if !logical.is_empty() {
            lines.push((line, logical));
        }
    }
    // A backslash at the end of the file continues nothing, but alone it is an entry without a key.
    lines.extend(open);
    lines
}

fn natural_lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(end) = rest.find(['\r', '\n']) {
        lines.push(&rest[..end]);
        let ending = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + ending..];
    }
    if !rest.is_empty() {
        lines.push(rest);
    }
    lines
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn entry(text: &str, line: usize) -> Option<Entry> {
    let mut escaped = false;
    let end = text
        .find(|c| {
            let ends = !escaped && (matches!(c, '=' | ':') || is_blank(c));
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap_or(text.len());
    let value = text[end..].trim_start_matches(is_blank);
    // One separator at most: `a==b` has the value `=b`.
    let value = value
        .strip_prefix(['=', ':'])
        .unwrap_or(value)
        .trim_start_matches(is_blank);
    Some(Entry {
        key: unescape(&text[..end])?,
        value: unescape(value)?,
        line,
    })
}

fn unescape(text: &str) -> Option<String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut unit = [0u16; 2];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let decoded = match c {
            '\\' => match chars.next() {
                None => break,
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\x0c',
                Some('u') => {
                    let mut code = 0;
                    for _ in 0..4 {
                        code = code * 16 + chars.next()?.to_digit(16)?;
                    }
                    // A unit, not a character: two escapes may be the halves of one character.
                    units.push(code as u16);
                    continue;
                }
                Some(other) => other,
            },
            other => other,
        };
        units.extend_from_slice(decoded.encode_utf16(&mut unit));
    }
    Some(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text.as_bytes())
            .unwrap()
            .into_iter()
            .map(|e| (e.key, e.value))
            .collect()
    }

    #[test]
    fn an_entry_knows_the_line_it_begins_on() {
        let entries = parse(b"# c\r\na=1\r\r\nb=\\\n  2\nc=3").unwrap();
        let lines: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.line)).collect();
        assert_eq!(lines, [("a", 2), ("b", 4), ("c", 6)]);
    }

    #[test]
    fn a_blank_line_ends_a_continuation() {
        assert_eq!(
            pairs("a=1\\\n\nb=2"),
            [("a".into(), "1".into()), ("b".into(), "2".into())]
        );
    }

    #[test]
    fn malformed_escapes_are_all_reported() {
        let lines: Vec<_> = parse(b"a=\\u12\nb=1\n\\uXYZW=2")
            .unwrap_err()
            .iter()
            .map(|e| e.line)
            .collect();
        assert_eq!(lines, [1, 3]);
    }

    #[test]
    fn surrogate_escapes_make_one_character() {
        assert_eq!(
            pairs("a=\\ud83d\\ude00"),
            [("a".into(), "\u{1f600}".into())]
        );
    }
}
