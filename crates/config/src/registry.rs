//! What is known about one configuration key, and how its name and its value are read.

use crate::java;
use crate::keys::{KEYS, Key, MANUAL_NAMES};

/// One entry of the table in `keys.rs`.
#[derive(Debug)]
pub struct KeySpec {
    /// The identity of the entry in code.
    pub key: Key,
    /// The heading of the table that it stands under.
    pub section: &'static str,
    /// The name in `zoo.cfg`, or the whole property name for [`Form::CommandLine`]. A trailing `*`
    /// stands for any ending, `[quorum.]` for both the name with and without that part.
    pub name: &'static str,
    /// Where Apache ZooKeeper reads it from.
    pub form: Form,
    /// The type of the value.
    pub kind: Kind,
    /// The default as text; empty when there is none or when it is computed.
    pub default: &'static str,
    /// Unit and bounds, in words.
    pub unit: &'static str,
    /// What Zooid does with it.
    pub class: Class,
    /// What it is for, in one sentence.
    pub doc: &'static str,
}

/// Where a setting may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In the file only; a bad value stops the start.
    File,
    /// In the file, else as `-Dzookeeper.<name>`; a bad value stops the start in both.
    FileOrProperty,
    /// `<name>` in the file is the same as `-Dzookeeper.<name>`, and wins over it. A bad value means
    /// the default for most kinds.
    Property,
    /// As [`Form::Property`], and `-D<name>` is read when neither of the two is set.
    PropertyOrBare,
    /// As `-D<name>` only: the file can create nothing but names that begin with `zookeeper.`.
    CommandLine,
}

/// The type of a value, with the way in which Java reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A path of a file or a directory.
    Path,
    /// Any text.
    Text,
    /// A host name or an address.
    Host,
    /// The name of a Java class.
    JavaClass,
    /// Texts separated by commas.
    List,
    /// 32 bits. As a property also `0x10`, `#10` and octal `010`, as `Integer.getInteger` reads it.
    Int,
    /// 32 bits, decimal in every form; a bad property means the default.
    DecimalInt,
    /// 32 bits, decimal in every form; a bad value stops the start.
    StrictInt,
    /// As [`Kind::Int`] with 64 bits.
    Long,
    /// As [`Kind::DecimalInt`] with 64 bits.
    DecimalLong,
    /// A number with a fraction; a bad value means the default.
    Double,
    /// A number with a fraction; a bad value stops the start.
    StrictDouble,
    /// `true` or `false` in any case; as a property everything but `true` is false.
    Bool,
    /// On only if the value is exactly this word.
    OnlyIf(&'static str),
    /// On unless the value is exactly this word.
    Unless(&'static str),
}

/// What Zooid does with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It has the effect that it has in Apache ZooKeeper.
    Honoured,
    /// It is accepted and changes nothing; the reason.
    NoEffect(&'static str),
    /// It belongs to a feature that does not exist yet.
    NotYet(Area, Demand),
}

/// A feature that is not built yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// TLS for clients and members.
    Tls,
    /// SASL for clients and members.
    Sasl,
    /// The HTTP admin server.
    Admin,
    /// The Prometheus exporter.
    Metrics,
    /// The audit log.
    Audit,
    /// Authentication providers beside `ip` and `digest`.
    Auth,
}

/// What a key of a missing feature does when it asks for more than the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// The server starts without it and says so.
    Warn,
    /// The server does not start: ignoring the key would weaken what the operator asked for.
    Refuse,
}

/// A value read by its [`Kind`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Parsed {
    Number(i64),
    Double(f64),
    Bool(bool),
    Text(String),
}

/// What follows from a value that its kind cannot read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    Fatal,
    Default,
}

impl Key {
    /// The entry of the table for this key.
    pub fn spec(self) -> &'static KeySpec {
        &KEYS[self as usize]
    }
}

impl KeySpec {
    /// All names that this entry stands for; a family keeps its `*`.
    pub fn names(&self) -> Vec<String> {
        match self.name.split_once("[quorum.]") {
            Some((before, after)) => {
                vec![
                    format!("{before}{after}"),
                    format!("{before}quorum.{after}"),
                ]
            }
            None => vec![self.name.to_owned()],
        }
    }

    /// The Java system properties that Apache ZooKeeper reads, the stronger first.
    pub fn properties(&self) -> Vec<String> {
        let prefixed = self
            .names()
            .into_iter()
            .map(|name| format!("zookeeper.{name}"));
        match self.form {
            Form::File => Vec::new(),
            Form::FileOrProperty | Form::Property => prefixed.collect(),
            Form::PropertyOrBare => prefixed.chain(self.names()).collect(),
            Form::CommandLine => self.names(),
        }
    }

    /// Whether a change takes effect without a restart. Apache ZooKeeper 3.9.5 reads every setting
    /// once, and so does Zooid.
    pub fn live(&self) -> bool {
        false
    }

    /// Whether the value must not be shown.
    pub fn secret(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        name.ends_with("password") || name.ends_with("superdigest")
    }

    fn matches(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => self.names().iter().any(|own| own == name),
        }
    }

    /// What a value must look like, for messages.
    pub(crate) fn expected(&self) -> String {
        let unit = if self.unit.is_empty() {
            String::new()
        } else {
            format!(" ({})", self.unit)
        };
        let kind = match self.kind {
            Kind::Path => "a path",
            Kind::Text => "a text",
            Kind::Host => "a host name or an address",
            Kind::JavaClass => "the name of a class",
            Kind::List => "texts separated by commas",
            Kind::Int | Kind::DecimalInt | Kind::StrictInt => "a whole number of at most 32 bits",
            Kind::Long | Kind::DecimalLong => "a whole number of at most 64 bits",
            Kind::Double | Kind::StrictDouble => "a number",
            Kind::Bool => "true or false",
            Kind::OnlyIf(word) => return format!("{word} to enable, anything else to disable"),
            Kind::Unless(word) => return format!("{word} to disable, anything else to enable"),
        };
        format!("{kind}{unit}")
    }

    pub(crate) fn parse(&self, text: &str) -> Result<Parsed, Unreadable> {
        let strict = matches!(self.form, Form::File | Form::FileOrProperty);
        let by_form = if strict {
            Unreadable::Fatal
        } else {
            Unreadable::Default
        };
        let int = |strict: bool| {
            if strict {
                decimal_int(text)
            } else {
                java::decode(text, 32)
            }
        };
        match self.kind {
            Kind::Path | Kind::Text | Kind::Host | Kind::JavaClass | Kind::List => {
                Ok(Parsed::Text(text.to_owned()))
            }
            Kind::Int => int(strict).map(Parsed::Number).ok_or(by_form),
            Kind::DecimalInt => decimal_int(text).map(Parsed::Number).ok_or(by_form),
            Kind::StrictInt => decimal_int(text)
                .map(Parsed::Number)
                .ok_or(Unreadable::Fatal),
            Kind::Long if !strict => java::decode(text, 64)
                .map(Parsed::Number)
                .ok_or(Unreadable::Default),
            Kind::Long | Kind::DecimalLong => {
                java::decimal(text).map(Parsed::Number).ok_or(by_form)
            }
            Kind::Double => java::double(text)
                .map(Parsed::Double)
                .ok_or(Unreadable::Default),
            Kind::StrictDouble => java::double(text)
                .map(Parsed::Double)
                .ok_or(Unreadable::Fatal),
            Kind::Bool if strict => java::strict_bool(text)
                .map(Parsed::Bool)
                .ok_or(Unreadable::Fatal),
            Kind::Bool => Ok(Parsed::Bool(java::lenient_bool(text))),
            Kind::OnlyIf(word) => Ok(Parsed::Bool(text == word)),
            Kind::Unless(word) => Ok(Parsed::Bool(text != word)),
        }
    }

    /// The default by its kind; `None` when there is none or when it is computed.
    pub(crate) fn default_value(&self) -> Option<Parsed> {
        if self.default.is_empty() {
            None
        } else {
            self.parse(self.default).ok()
        }
    }
}

impl Area {
    /// The feature in words, to be followed by "not built yet".
    pub fn text(self) -> &'static str {
        match self {
            Area::Tls => "TLS",
            Area::Sasl => "SASL",
            Area::Admin => "the HTTP admin server",
            Area::Metrics => "the Prometheus exporter",
            Area::Audit => "the audit log",
            Area::Auth => "this authentication provider",
        }
    }
}

/// The entry that a name belongs to: the name of a key of `zoo.cfg`, or a whole property name for
/// [`Form::CommandLine`]. An entry of exactly this name goes before a family.
pub fn find(name: &str) -> Option<&'static KeySpec> {
    let family = |spec: &&KeySpec| spec.name.ends_with('*');
    let exact = KEYS.iter().find(|spec| !family(spec) && spec.matches(name));
    exact.or_else(|| KEYS.iter().find(|spec| family(spec) && spec.matches(name)))
}

/// The name to suggest for an unknown one: what the manual's display name stands for, or the known
/// name with the fewest differing letters, if it is near enough to be meant.
pub fn nearest(name: &str) -> Option<String> {
    if let Some((_, works)) = MANUAL_NAMES.iter().find(|(manual, _)| *manual == name) {
        return Some((*works).to_owned());
    }
    if let Some(bare) = name.strip_prefix("zookeeper.")
        && find(bare).is_some()
    {
        return Some(bare.to_owned());
    }
    // Bounded: a name is compared with some two hundred others.
    if name.len() > 100 {
        return None;
    }
    let lower = name.to_lowercase();
    let length = lower.chars().count();
    let near = (length / 4).clamp(1, 4);
    let (distance, best) = KEYS
        .iter()
        .filter(|spec| !spec.name.ends_with('*'))
        .flat_map(KeySpec::names)
        // No text is nearer to another than their lengths are.
        .filter(|known| known.chars().count().abs_diff(length) <= near)
        .map(|known| (distance(&lower, &known.to_lowercase()), known))
        .min()?;
    (distance <= near).then_some(best)
}

/// Insertions, deletions, replacements and swaps of neighbours that make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before_last[j - 2] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

fn decimal_int(text: &str) -> Option<i64> {
    java::decimal::<i32>(text).map(i64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_name_stands_once_in_the_table() {
        let mut seen = BTreeSet::new();
        for spec in KEYS {
            for name in spec.names() {
                assert!(seen.insert(name.clone()), "{name} stands twice");
            }
        }
    }

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (index, spec) in KEYS.iter().enumerate() {
            assert_eq!(spec.key as usize, index);
        }
    }

    #[test]
    fn every_default_is_of_its_kind_and_every_doc_is_a_sentence() {
        for spec in KEYS {
            assert!(
                spec.default.is_empty() || spec.parse(spec.default).is_ok(),
                "{}: default {}",
                spec.name,
                spec.default
            );
            assert!(spec.doc.ends_with('.'), "{}: {}", spec.name, spec.doc);
            assert!(
                !spec.doc.contains('|'),
                "{}: breaks a table of the manual",
                spec.name
            );
        }
    }

    #[test]
    fn a_manual_name_stands_for_a_known_key_and_is_none_itself() {
        for (manual, works) in MANUAL_NAMES {
            assert!(find(works).is_some(), "{works}");
            assert!(find(manual).is_none(), "{manual}");
        }
    }

    #[test]
    fn the_nearest_name_is_near() {
        assert_eq!(nearest("tickTme").as_deref(), Some("tickTime"));
        assert_eq!(nearest("ticktime").as_deref(), Some("tickTime"));
        assert_eq!(nearest("dataDri").as_deref(), Some("dataDir"));
        assert_eq!(nearest("maxClientCnxn").as_deref(), Some("maxClientCnxns"));
        assert_eq!(nearest("zookeeper.snapCount").as_deref(), Some("snapCount"));
        assert_eq!(
            nearest("throttledOpWaitTime").as_deref(),
            Some("throttled_op_wait_time")
        );
        assert_eq!(nearest("somethingElse"), None);
        assert_eq!(nearest("x"), None);
        assert_eq!(nearest(&"x".repeat(1 << 20)), None);
    }
}
