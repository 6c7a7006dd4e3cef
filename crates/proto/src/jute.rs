//! Jute, the record encoding of ZooKeeper: big-endian integers, length-prefixed strings and
//! buffers in which -1 stands for null, records without tags.

use std::borrow::Cow;

/// A string that may be null on the wire. Null and empty are different values.
pub type Str<'a> = Option<Cow<'a, str>>;

/// A buffer that may be null on the wire. Null and empty are different values.
pub type Buf<'a> = Option<Cow<'a, [u8]>>;

/// A vector that may be null on the wire.
pub type List<T> = Option<Vec<T>>;

/// Why bytes are not the record that they were read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JuteError {
    /// The record goes on behind the end of its bytes.
    #[error("{wanted} bytes wanted at offset {at}, {left} left")]
    Truncated {
        /// Offset of the field in the bytes given to the reader.
        at: usize,
        /// Bytes that the field needs.
        wanted: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// A length below -1.
    #[error("unreasonable length {length} at offset {at}")]
    Length {
        /// Offset of the length.
        at: usize,
        /// The length as read.
        length: i32,
    },
    /// Null where the record cannot be without a value.
    #[error("null {what} at offset {at}")]
    Null {
        /// What is null.
        what: &'static str,
        /// Offset of the length -1.
        at: usize,
    },
    /// A value outside its enumeration.
    #[error("{what} {value} at offset {at} is not known")]
    Unknown {
        /// What kind of value it is.
        what: &'static str,
        /// The value as read.
        value: i32,
        /// Offset of the value.
        at: usize,
    },
}

/// A value that can be read from and written to jute bytes.
pub trait Jute<'a>: Sized {
    /// The same value without borrowed parts.
    type Owned;

    /// Fewest bytes that a value occupies: bounds what a declared element count may reserve.
    const MIN_BYTES: usize;

    /// Reads one value.
    fn read(from: &mut Reader<'a>) -> Result<Self, JuteError>;

    /// Appends the value's bytes.
    fn write(&self, to: &mut Writer<'_>);

    /// Copies whatever is still borrowed.
    fn into_owned(self) -> Self::Owned;

    /// Reads one value from the start of `bytes`; bytes behind it are ignored, as Java does with
    /// request frames.
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, JuteError> {
        Self::read(&mut Reader::new(bytes))
    }
}

/// Reads jute values from a byte slice, borrowing from it.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    joins_surrogates: bool,
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader {
            bytes,
            at: 0,
            joins_surrogates: true,
        }
    }

    /// A reader of what a client asks for. As in Java, two surrogates that came as three bytes each
    /// read as two U+FFFD, not as the character that they mean.
    pub fn of_request(bytes: &'a [u8]) -> Self {
        Reader {
            bytes,
            at: 0,
            joins_surrogates: false,
        }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// Offset of the next byte.
    pub fn position(&self) -> usize {
        self.at
    }

    /// All that has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], JuteError> {
        let left = self.remaining();
        if n > left {
            return Err(JuteError::Truncated {
                at: self.at,
                wanted: n,
                left,
            });
        }
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], JuteError> {
        let taken = self.take(N)?;
        Ok(taken
            .try_into()
            .expect("take returns as many bytes as asked"))
    }

    /// A 32-bit integer.
    pub fn i32(&mut self) -> Result<i32, JuteError> {
        self.array().map(i32::from_be_bytes)
    }

    /// A 64-bit integer.
    pub fn i64(&mut self) -> Result<i64, JuteError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A boolean: any byte but zero is true.
    pub fn bool(&mut self) -> Result<bool, JuteError> {
        Ok(self.take(1)?[0] != 0)
    }

    /// The bytes of a string or buffer, without regard to what they hold.
    pub fn raw(&mut self) -> Result<Option<&'a [u8]>, JuteError> {
        let at = self.at;
        match self.i32()? {
            -1 => Ok(None),
            n => match usize::try_from(n) {
                Ok(n) => self.take(n).map(Some),
                Err(_) => Err(JuteError::Length { at, length: n }),
            },
        }
    }

    /// A buffer.
    pub fn buf(&mut self) -> Result<Buf<'a>, JuteError> {
        Ok(self.raw()?.map(Cow::Borrowed))
    }

    /// A string. Bytes that are not UTF-8 read as U+FFFD, as Java reads them; pairs of surrogates
    /// that Java wrote as two three-byte sequences read as the character that they mean.
    pub fn str(&mut self) -> Result<Str<'a>, JuteError> {
        let joins = self.joins_surrogates;
        Ok(self.raw()?.map(|bytes| decode_text(bytes, joins)))
    }

    /// The element count of a vector: `None` is null, other negative counts are empty vectors, as
    /// Java reads them.
    pub fn count(&mut self) -> Result<Option<usize>, JuteError> {
        Ok(match self.i32()? {
            -1 => None,
            n => Some(usize::try_from(n).unwrap_or(0)),
        })
    }
}

/// Appends jute values to a byte vector.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
    surrogates: bool,
}

impl<'o> Writer<'o> {
    /// A writer for what clients and peers read. Java writes text by UTF-16 unit, so a character
    /// beyond the Basic Multilingual Plane becomes two three-byte sequences; so does this writer.
    pub fn wire(out: &'o mut Vec<u8>) -> Self {
        Writer {
            out,
            surrogates: true,
        }
    }

    /// A writer for files. Text is UTF-8 proper: Java's own form does not survive its own reader.
    pub fn disk(out: &'o mut Vec<u8>) -> Self {
        Writer {
            out,
            surrogates: false,
        }
    }

    /// A 32-bit integer.
    pub fn i32(&mut self, value: i32) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A 64-bit integer.
    pub fn i64(&mut self, value: i64) {
        self.out.extend_from_slice(&value.to_be_bytes());
    }

    /// A boolean.
    pub fn bool(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    /// A buffer, or null.
    pub fn buf(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.i32(-1),
            Some(bytes) => {
                self.i32(length(bytes.len()));
                self.out.extend_from_slice(bytes);
            }
        }
    }

    /// A string, or null.
    pub fn str(&mut self, value: Option<&str>) {
        // In UTF-8 only characters beyond the Basic Multilingual Plane start with 0xF0 or more.
        match value {
            Some(text) if self.surrogates && text.bytes().any(|b| b >= 0xF0) => {
                self.buf(Some(&encode_surrogates(text)));
            }
            _ => self.buf(value.map(str::as_bytes)),
        }
    }

    /// The element count of a vector, or null.
    pub fn count(&mut self, value: Option<usize>) {
        self.i32(value.map_or(-1, length));
    }

    /// Bytes as they are, without a length.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
}

fn length(n: usize) -> i32 {
    i32::try_from(n).expect("a jute value is shorter than 2 GiB")
}

fn encode_surrogates(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() + text.len() / 2);
    let mut units = [0u16; 2];
    for c in text.chars() {
        if c.len_utf8() < 4 {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        for unit in c.encode_utf16(&mut units) {
            let unit = *unit;
            bytes.push(0xE0 | (unit >> 12) as u8);
            bytes.push(0x80 | (unit >> 6 & 0x3F) as u8);
            bytes.push(0x80 | (unit & 0x3F) as u8);
        }
    }
    bytes
}

fn decode_text(bytes: &[u8], joins_surrogates: bool) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(decode_lenient(bytes, joins_surrogates)),
    }
}

fn decode_lenient(mut bytes: &[u8], joins_surrogates: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    loop {
        match std::str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                return text;
            }
            Err(error) => {
                let (good, bad) = bytes.split_at(error.valid_up_to());
                text.push_str(std::str::from_utf8(good).expect("checked up to here"));
                let taken = match (surrogate(bad), bad.get(3..).and_then(surrogate)) {
                    (Some(high @ 0xD800..0xDC00), Some(low @ 0xDC00..0xE000))
                        if joins_surrogates =>
                    {
                        let c = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
                        text.push(char::from_u32(c).expect("a pair of surrogates is a character"));
                        6
                    }
                    (Some(_), _) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        3
                    }
                    // Half a surrogate is one replacement character in Java, two in Rust.
                    (None, _) if matches!(bad, [0xED, 0xA0..=0xBF, ..]) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        2
                    }
                    (None, _) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        error.error_len().unwrap_or(bad.len())
                    }
                };
                bytes = &bad[taken..];
            }
        }
    }
}

/// The UTF-16 surrogate that a three-byte sequence at the start of `bytes` stands for.
fn surrogate(bytes: &[u8]) -> Option<u32> {
    match bytes {
        [0xED, b @ 0xA0..=0xBF, c @ 0x80..=0xBF, ..] => {
            Some(0xD000 | u32::from(b & 0x3F) << 6 | u32::from(c & 0x3F))
        }
        _ => None,
    }
}

macro_rules! primitive {
    ($type:ty, $method:ident, $bytes:literal) => {
        impl<'a> Jute<'a> for $type {
            type Owned = $type;
            const MIN_BYTES: usize = $bytes;
            fn read(from: &mut Reader<'a>) -> Result<Self, JuteError> {
                from.$method()
            }
            fn write(&self, to: &mut Writer<'_>) {
                to.$method(*self);
            }
            fn into_owned(self) -> Self {
                self
            }
        }
    };
}
primitive!(i32, i32, 4);
primitive!(i64, i64, 8);
primitive!(bool, bool, 1);

impl<'a> Jute<'a> for Str<'a> {
    type Owned = Str<'static>;
    const MIN_BYTES: usize = 4;
    fn read(from: &mut Reader<'a>) -> Result<Self, JuteError> {
        from.str()
    }
    fn write(&self, to: &mut Writer<'_>) {
        to.str(self.as_deref());
    }
    fn into_owned(self) -> Str<'static> {
        self.map(|text| Cow::Owned(text.into_owned()))
    }
}

impl<'a> Jute<'a> for Buf<'a> {
    type Owned = Buf<'static>;
    const MIN_BYTES: usize = 4;
    fn read(from: &mut Reader<'a>) -> Result<Self, JuteError> {
        from.buf()
    }
    fn write(&self, to: &mut Writer<'_>) {
        to.buf(self.as_deref());
    }
    fn into_owned(self) -> Buf<'static> {
        self.map(|bytes| Cow::Owned(bytes.into_owned()))
    }
}

/// Text that must be there: null is an error.
impl<'a> Jute<'a> for Cow<'a, str> {
    type Owned = Cow<'static, str>;
    const MIN_BYTES: usize = 4;
    fn read(from: &mut Reader<'a>) -> Result<Self, JuteError> {
        let at = from.position();
        from.str()?.ok_or(JuteError::Null { what: "string", at })
    }
    fn write(&self, to: &mut Writer<'_>) {
        to.str(Some(self));
    }
    fn into_owned(self) -> Cow<'static, str> {
        Cow::Owned(Cow::into_owned(self))
    }
}

impl<'a, T: Jute<'a>> Jute<'a> for List<T> {
    type Owned = List<T::Owned>;
    const MIN_BYTES: usize = 4;
    fn read(from: &mut Reader<'a>) -> Result<Self, JuteError> {
        let Some(count) = from.count()? else {
            return Ok(None);
        };
        let mut items = Vec::with_capacity(count.min(from.remaining() / T::MIN_BYTES));
        for _ in 0..count {
            items.push(T::read(from)?);
        }
        Ok(Some(items))
    }
    fn write(&self, to: &mut Writer<'_>) {
        to.count(self.as_ref().map(Vec::len));
        for item in self.iter().flatten() {
            item.write(to);
        }
    }
    fn into_owned(self) -> List<T::Owned> {
        self.map(|items| items.into_iter().map(T::into_owned).collect())
    }
}

/// Defines records by their fields in wire order, with reading and writing.
#[macro_export]
macro_rules! records {
    () => {};
    ($(#[$meta:meta])* $name:ident<$lt:lifetime> { $($(#[$fmeta:meta])* $field:ident: $type:ty),* $(,)? } $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Default)]
        pub struct $name<$lt> { $($(#[$fmeta])* pub $field: $type),* }

        impl<$lt> $crate::Jute<$lt> for $name<$lt> {
            type Owned = $name<'static>;
            const MIN_BYTES: usize = 0 $(+ <$type as $crate::Jute<$lt>>::MIN_BYTES)*;
            fn read(from: &mut $crate::Reader<$lt>) -> Result<Self, $crate::JuteError> {
                Ok($name { $($field: $crate::Jute::read(from)?),* })
            }
            fn write(&self, to: &mut $crate::Writer<'_>) {
                $($crate::Jute::write(&self.$field, to);)*
            }
            fn into_owned(self) -> $name<'static> {
                $name { $($field: $crate::Jute::into_owned(self.$field)),* }
            }
        }
        $crate::records! { $($rest)* }
    };
    ($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty),* $(,)? } $($rest:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct $name { $($(#[$fmeta])* pub $field: $type),* }

        impl<'a> $crate::Jute<'a> for $name {
            type Owned = $name;
            const MIN_BYTES: usize = 0 $(+ <$type as $crate::Jute<'static>>::MIN_BYTES)*;
            fn read(from: &mut $crate::Reader<'a>) -> Result<Self, $crate::JuteError> {
                let _ = &from;
                Ok($name { $($field: $crate::Jute::read(from)?),* })
            }
            fn write(&self, to: &mut $crate::Writer<'_>) {
                let _ = &to;
                $($crate::Jute::write(&self.$field, to);)*
            }
            fn into_owned(self) -> $name {
                self
            }
        }
        $crate::records! { $($rest)* }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_stay_apart() {
        let mut out = Vec::new();
        let mut to = Writer::wire(&mut out);
        to.str(None);
        to.str(Some(""));
        assert_eq!(out, [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0]);
        let mut from = Reader::new(&out);
        assert_eq!(from.str(), Ok(None));
        assert_eq!(from.str(), Ok(Some("".into())));
    }

    #[test]
    fn a_length_that_lies_is_refused_without_reserving() {
        let bytes = [0x7F, 0xFF, 0xFF, 0xFF, 1, 2];
        assert!(matches!(
            Reader::new(&bytes).buf(),
            Err(JuteError::Truncated { left: 2, .. })
        ));
        assert!(matches!(
            List::<i64>::from_bytes(&bytes),
            Err(JuteError::Truncated { .. })
        ));
        let below = (-2i32).to_be_bytes();
        assert_eq!(
            Reader::new(&below).buf(),
            Err(JuteError::Length { at: 0, length: -2 })
        );
        assert_eq!(List::<i64>::from_bytes(&below), Ok(Some(vec![])));
    }

    #[test]
    fn supplementary_characters_travel_as_surrogates_and_rest_as_utf8() {
        let (mut wire, mut disk) = (Vec::new(), Vec::new());
        Writer::wire(&mut wire).str(Some("a🚀"));
        Writer::disk(&mut disk).str(Some("a🚀"));
        assert_eq!(wire[4..], [b'a', 0xED, 0xA0, 0xBD, 0xED, 0xBA, 0x80]);
        assert_eq!(&disk[4..], "a🚀".as_bytes());
        assert_eq!(Reader::new(&wire).str(), Ok(Some("a🚀".into())));
        assert_eq!(Reader::new(&disk).str(), Ok(Some("a🚀".into())));
        assert_eq!(
            Reader::of_request(&wire).str(),
            Ok(Some("a\u{FFFD}\u{FFFD}".into()))
        );
        assert_eq!(Reader::of_request(&disk).str(), Ok(Some("a🚀".into())));
    }

    #[test]
    fn text_that_is_not_utf8_reads_as_replacement_characters() {
        let decoded = |bytes: &[u8]| decode_text(bytes, true).into_owned();
        assert_eq!(decoded(&[b'/', 0xFF, b'a']), "/\u{FFFD}a");
        assert_eq!(decoded(&[0xED, 0xA0, 0xBD, b'x']), "\u{FFFD}x");
        assert_eq!(decoded(&[0xE2, 0x82]), "\u{FFFD}");
        assert_eq!(decoded(&[b'/', 0xED, 0xA0]), "/\u{FFFD}");
        assert_eq!(decoded(&[0xED, 0xA0, b'x']), "\u{FFFD}x");
        assert_eq!(decoded(&[0xED]), "\u{FFFD}");
    }
}
