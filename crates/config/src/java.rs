//! How Java reads numbers and booleans from text; the settings of ZooKeeper depend on it.

use std::str::FromStr;

/// `Integer.parseInt`, `Long.parseLong`: an optional sign and decimal digits, nothing else.
pub(crate) fn decimal<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `Integer.decode`, `Long.decode`, which `getInteger` and `getLong` use: `0x` and `#` are
/// hexadecimal, a leading `0` is octal. `bits` is the size of the Java type, 32 or 64.
pub(crate) fn decode(text: &str, bits: u32) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = if let Some(hex) = digits
        .strip_prefix("0x")
        .or(digits.strip_prefix("0X"))
        .or(digits.strip_prefix('#'))
    {
        (16, hex)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -magnitude } else { magnitude };
    let limit = 1i128 << (bits - 1);
    (-limit..limit).contains(&value).then_some(value as i64)
}

/// `Double.parseDouble` without hexadecimal floating point.
pub(crate) fn double(text: &str) -> Option<f64> {
    let text = text.trim();
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    let number = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    // Rust reads words such as `inf` that Java refuses.
    let plain = number
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'));
    if plain { number.parse().ok() } else { None }
}

/// The strict reading of zoo.cfg keys: `true` or `false` in any case.
pub(crate) fn strict_bool(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// `Boolean.parseBoolean`: everything but `true` is false.
pub(crate) fn lenient_bool(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// `String.split` by one character: empty parts at the end are dropped.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decode_follows_integer_decode() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10", Some(10)),
            ("+10", Some(10)),
            ("-10", Some(-10)),
            ("010", Some(8)),
            ("-010", Some(-8)),
            ("08", None),
            ("0x1F", Some(31)),
            ("0X1f", Some(31)),
            ("#1f", Some(31)),
            ("-#1", Some(-1)),
            ("0x", None),
            ("0x-1", None),
            ("--1", None),
            ("+-1", None),
            ("", None),
            ("-", None),
            (" 1", None),
            ("1 ", None),
            ("1k", None),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", None),
            ("-2147483648", Some(-2_147_483_648)),
            ("0xffffffff", None),
        ] {
            assert_eq!(decode(text, 32), expected, "{text:?}");
        }
        assert_eq!(decode("-9223372036854775808", 64), Some(i64::MIN));
        assert_eq!(decode("9223372036854775808", 64), None);
    }

    #[test]
    fn double_follows_parse_double() {
        assert_eq!(double("0.02"), Some(0.02));
        assert_eq!(double(" 1e-2f "), Some(0.01));
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert_eq!(double("inf"), None);
        assert_eq!(double("0,5"), None);
        assert_eq!(double(""), None);
    }

    #[test]
    fn split_drops_empty_parts_at_the_end_only() {
        assert_eq!(split("a:b::", ':'), ["a", "b"]);
        assert_eq!(split(":a", ':'), ["", "a"]);
        assert_eq!(split("", ':'), [""]);
        assert!(split(";", ';').is_empty());
    }
}
