//! The rules of node paths (`PathUtils` in Java; characters count as UTF-16 units there).

/// Why a path cannot name a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No characters at all.
    #[error("the path is empty")]
    Empty,
    /// The first character is not `/`.
    #[error("the path does not start with /")]
    NoLeadingSlash,
    /// The last character is `/`.
    #[error("the path ends with /")]
    TrailingSlash,
    /// `//` somewhere.
    #[error("an empty name at byte {0}")]
    EmptyName(usize),
    /// `.` or `..` as a name.
    #[error("a relative name at byte {0}")]
    Relative(usize),
    /// A control, surrogate, private-use or special character.
    #[error("character U+{:04X} at byte {at} is not allowed", *.c as u32)]
    Character {
        /// The character.
        c: char,
        /// Its offset in the path.
        at: usize,
    },
}

/// Checks that `path` may name a node.
///
/// Refused are the empty path, a missing leading or a trailing `/`, empty names, `.` and `..`, and
/// characters that cannot be shown: U+0000-001F, U+007F-009F, U+D800-F8FF (so everything beyond
/// the Basic Multilingual Plane), U+FFF0-FFFF. There is no limit of length.
pub fn validate(path: &str) -> Result<(), PathError> {
    let bytes = path.as_bytes();
    match bytes {
        [] => return Err(PathError::Empty),
        [b'/'] => return Ok(()),
        [b'/', .., b'/'] => return Err(PathError::TrailingSlash),
        [b'/', ..] => {}
        _ => return Err(PathError::NoLeadingSlash),
    }
    if is_plain(&bytes[1..]) {
        return Ok(());
    }
    let mut at = 1;
    for name in path[1..].split('/') {
        match name {
            "" => return Err(PathError::EmptyName(at)),
            "." | ".." => return Err(PathError::Relative(at)),
            _ => {}
        }
        if let Some((offset, c)) = name.char_indices().find(|(_, c)| !allowed(*c)) {
            return Err(PathError::Character { c, at: at + offset });
        }
        at += name.len() + 1;
    }
    Ok(())
}

/// Names of printable ASCII that are not empty and do not start with a dot: nearly all are, and one
/// quick look tells.
fn is_plain(names: &[u8]) -> bool {
    let [first, rest @ ..] = names else {
        return false;
    };
    // Without a way out on the way, so that the compiler looks at many bytes at once.
    let printable = names
        .iter()
        .fold(true, |all, b| all & matches!(b, 0x20..0x7F));
    let starts = names.iter().zip(rest);
    let odd = starts.fold(false, |any, (a, b)| {
        any | (*a == b'/') & ((*b == b'/') | (*b == b'.'))
    });
    printable & !odd & !matches!(first, b'/' | b'.')
}

/// Where the last `/` is. Names are short: a plain loop finds it before a search for long text has
/// looked at its alignment.
pub fn last_slash(path: &str) -> Option<usize> {
    path.bytes().rposition(|b| b == b'/')
}

fn allowed(c: char) -> bool {
    !matches!(c, '\0'..='\u{1F}' | '\u{7F}'..='\u{9F}' | '\u{E000}'..='\u{F8FF}' | '\u{FFF0}'..)
}

/// The parent of a path: the text before its last `/`, and `/` for a child of the root. `None`
/// for the root itself and for text without a `/`.
pub fn parent(path: &str) -> Option<&str> {
    match last_slash(path)? {
        0 if path.len() == 1 => None,
        0 => Some("/"),
        at => Some(&path[..at]),
    }
}

/// The last name of a path: what its parent lists it as.
pub fn name(path: &str) -> &str {
    last_slash(path).map_or(path, |at| &path[at + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_paths() {
        for path in [
            "/",
            "/a",
            "/a/b",
            "/...",
            "/.a",
            "/a..",
            "/..a",
            "/a b",
            "/\u{A0}",
            "/\u{2028}",
        ] {
            assert_eq!(validate(path), Ok(()), "{path}");
        }
        assert_eq!(validate("/\u{F900}\u{FFEF}"), Ok(()));
    }

    #[test]
    fn invalid_paths() {
        for path in [
            "", "a", "a/", "/a/", "//", "/a//b", "/.", "/..", "/a/./b", "/a/../b",
        ] {
            assert!(validate(path).is_err(), "{path}");
        }
        for c in [
            '\0', '\u{1}', '\u{1F}', '\u{7F}', '\u{9F}', '\u{E000}', '\u{F8FF}', '\u{FFF0}',
        ] {
            assert!(validate(&format!("/a{c}b")).is_err(), "U+{:04X}", c as u32);
        }
        assert_eq!(
            validate("/a/🚀"),
            Err(PathError::Character { c: '🚀', at: 3 })
        );
    }

    #[test]
    fn parents_and_names() {
        assert_eq!(
            (parent("/"), parent("a"), parent("/a")),
            (None, None, Some("/"))
        );
        assert_eq!(
            (parent("/a/b"), name("/a/b"), name("/")),
            (Some("/a"), "b", "")
        );
    }
}
