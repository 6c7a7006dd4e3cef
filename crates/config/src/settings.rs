//! All sources laid over one another: which text each key has, where it came from, and what is to
//! be said about it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::flags::SystemProperty;
use crate::keys::{KEYS, Key};
use crate::problem::{Level, Origin, Problem, PropertySource, Warning};
use crate::properties::{self, Entry};
use crate::registry::{self, Class, Demand, Form, KeySpec, Kind, Parsed, Unreadable};

/// One value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    /// The name as it was written; tells the keys of a family apart.
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// The values of all keys, and what was found on the way.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    values: BTreeMap<Key, Vec<Value>>,
    /// What `System.getProperties` would hold of ZooKeeper in a Java server.
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) problems: Vec<Problem>,
    /// Shows in a test that each honoured key is read.
    #[cfg(test)]
    pub(crate) read: std::cell::RefCell<std::collections::BTreeSet<Key>>,
}

impl Settings {
    /// Takes the text of a configuration file in. Must come before the properties, which are weaker.
    pub(crate) fn add_file(&mut self, path: &Path, bytes: &[u8]) {
        let entries = self.entries(path, bytes);
        if bytes.starts_with(b"\xef\xbb\xbf") && entries.first().is_some_and(|e| e.line == 1) {
            let origin = Origin::File {
                path: path.to_owned(),
                line: 1,
            };
            let text = "the file begins with a byte order mark, which belongs to the first key for \
                        Apache ZooKeeper: that key has no effect; save the file without it";
            self.warn(Level::Danger, Some(&origin), None, text);
        }
        for Entry { key, value, line } in entries {
            let origin = Origin::File {
                path: path.to_owned(),
                line,
            };
            self.add_file_entry(key, value, origin);
        }
    }

    /// The entries of a properties text with keys and values trimmed; the last of each key.
    pub(crate) fn entries(&mut self, path: &Path, bytes: &[u8]) -> Vec<Entry> {
        let entries = match properties::parse(bytes) {
            Ok(entries) => entries,
            Err(malformed) => {
                for escape in malformed {
                    let origin = Origin::File {
                        path: path.to_owned(),
                        line: escape.line,
                    };
                    let text = "\\u must be followed by four hexadecimal digits (a backslash is \
                                written \\\\)";
                    self.problem(Some(&origin), None, text);
                }
                return Vec::new();
            }
        };
        let mut last: Vec<Entry> = Vec::new();
        let mut index: BTreeMap<String, usize> = BTreeMap::new();
        for entry in entries {
            let entry = Entry {
                key: java_trim(&entry.key).to_owned(),
                value: java_trim(&entry.value).to_owned(),
                ..entry
            };
            match index.get(&entry.key) {
                Some(&at) => {
                    let origin = Origin::File {
                        path: path.to_owned(),
                        line: entry.line,
                    };
                    let text = format!("replaces the value of line {}", last[at].line);
                    self.warn(Level::Warning, Some(&origin), Some(&entry.key), text);
                    last[at] = entry;
                }
                None => {
                    index.insert(entry.key.clone(), last.len());
                    last.push(entry);
                }
            }
        }
        last
    }

    fn add_file_entry(&mut self, key: String, value: String, origin: Origin) {
        // Java tells members by how the key begins, whatever follows.
        let found = if key.starts_with("server.") {
            Some(Key::Server.spec())
        } else {
            registry::find(&key)
        };
        let Some(spec) = found else {
            // The metrics provider gets these, under whatever name.
            if !key.starts_with("metricsProvider.") {
                self.properties.insert(format!("zookeeper.{key}"), value);
            }
            let text = unknown(&key, registry::nearest(&key));
            return self.warn(Level::Warning, Some(&origin), Some(&key), text);
        };
        match spec.form {
            // Java recognises members only later, and makes properties of them first.
            Form::File if matches!(spec.key, Key::Server | Key::Group | Key::Weight) => {
                self.properties
                    .insert(format!("zookeeper.{key}"), value.clone());
            }
            Form::File | Form::FileOrProperty => {}
            Form::Property | Form::PropertyOrBare => {
                self.properties
                    .insert(format!("zookeeper.{key}"), value.clone());
            }
            Form::CommandLine => {
                self.properties.insert(format!("zookeeper.{key}"), value);
                let text = format!(
                    "has no effect in a file, as in Apache ZooKeeper; say -D{key}=… on the command \
                     line or in JVMFLAGS"
                );
                return self.warn(Level::Warning, Some(&origin), Some(&key), text);
            }
        }
        self.set(
            spec.key,
            Value {
                name: key,
                text: value,
                origin,
            },
        );
    }

    /// Takes system properties in, the weakest first.
    pub(crate) fn add_properties(&mut self, properties: Vec<SystemProperty>) {
        let mut last: BTreeMap<String, SystemProperty> = BTreeMap::new();
        for property in properties {
            last.insert(property.name.clone(), property);
        }
        // The stronger of the two names of `PropertyOrBare` keys first.
        let (prefixed, bare): (Vec<_>, Vec<_>) = last
            .into_values()
            .partition(|property| property.name.starts_with("zookeeper."));
        let mut ignored = Vec::new();
        for property in prefixed.into_iter().chain(bare) {
            self.add_property(property, &mut ignored);
        }
        if !ignored.is_empty() {
            let text = format!(
                "ignored, only a Java server has a use for it: {}",
                ignored.join(" ")
            );
            self.warn(Level::Note, None, None, text);
        }
    }

    fn add_property(&mut self, property: SystemProperty, ignored: &mut Vec<String>) {
        let SystemProperty { name, value, by } = property;
        let origin = Origin::Property {
            name: name.clone(),
            by,
        };
        let short = name.strip_prefix("zookeeper.");
        let whole = registry::find(&name).filter(|spec| spec.name == name);
        let found = whole.or_else(|| registry::find(short.unwrap_or(&name)));
        let usable = found.is_some_and(|spec| match spec.form {
            Form::File => false,
            Form::FileOrProperty | Form::Property => short.is_some(),
            Form::PropertyOrBare => true,
            Form::CommandLine => spec.name == name,
        });
        let text = match found {
            Some(spec) if usable => {
                self.properties
                    .entry(name.clone())
                    .or_insert_with(|| value.clone());
                return self.add_known_property(spec, short.unwrap_or(&name), value, origin);
            }
            Some(spec) if spec.form == Form::File => {
                "has no effect as a system property, as in Apache ZooKeeper; write it into the \
                 configuration file"
                    .to_owned()
            }
            Some(spec) if short.is_some() || by == PropertySource::CommandLine => {
                format!(
                    "has no effect, as in Apache ZooKeeper; say -D{}=…",
                    spec.properties()[0]
                )
            }
            Some(spec) => format!("has no effect; -D{}=… would have", spec.properties()[0]),
            None if short.is_some() || by == PropertySource::CommandLine => {
                let nearest = registry::nearest(short.unwrap_or(&name));
                unknown(&name, nearest.map(|near| property_name(&near)))
            }
            None => return ignored.push(format!("-D{name}")),
        };
        self.properties.entry(name).or_insert(value);
        self.warn(Level::Warning, Some(&origin), None, text);
    }

    fn add_known_property(&mut self, spec: &KeySpec, name: &str, value: String, origin: Origin) {
        let Some(stronger) = self.value_named(spec.key, name) else {
            return self.set(
                spec.key,
                Value {
                    name: name.to_owned(),
                    text: value,
                    origin,
                },
            );
        };
        if stronger.text != value {
            let text = format!("has no effect: {} is stronger", stronger.origin);
            self.warn(Level::Warning, Some(&origin), None, text);
        }
    }

    /// Sets a key from an option of the command line, which is stronger than all else.
    pub(crate) fn add_option(&mut self, key: Key, text: String, option: &'static str) {
        let name = key.spec().name.to_owned();
        self.set(
            key,
            Value {
                name,
                text,
                origin: Origin::Option(option),
            },
        );
    }

    /// Sets a key as a start without a file has it, unless it is set.
    pub(crate) fn add_default(&mut self, key: Key, text: &str) {
        if self.value(key).is_none() {
            let name = key.spec().name.to_owned();
            self.set(
                key,
                Value {
                    name,
                    text: text.to_owned(),
                    origin: Origin::NoFile,
                },
            );
        }
    }

    /// Says all that the table knows about the values: unreadable ones, and those without effect.
    pub(crate) fn judge(&mut self) {
        for spec in KEYS {
            for value in self.values.get(&spec.key).cloned().unwrap_or_default() {
                self.judge_value(spec, &value);
            }
        }
    }

    fn judge_value(&mut self, spec: &'static KeySpec, value: &Value) {
        let shown = shown(spec, &value.text);
        let parsed = match spec.parse(&value.text) {
            Ok(parsed) => Some(parsed),
            Err(unreadable) if unreadable == Unreadable::Fatal && !self.unread(spec) => {
                let text = format!("expected {}", spec.expected());
                return self.problem(Some(&value.origin), Some((&value.name, &shown)), text);
            }
            Err(_) => {
                let default = if spec.default.is_empty() {
                    "none"
                } else {
                    spec.default
                };
                let text = format!(
                    "{shown:?} is not {}; the default holds, as in Apache ZooKeeper: {default}",
                    spec.expected()
                );
                self.warn(Level::Warning, Some(&value.origin), Some(&value.name), text);
                None
            }
        };
        if let Some(parsed) = &parsed {
            self.judge_spelling(spec, value, parsed);
        }
        // A value that asks for what happens anyway is fulfilled.
        let asks = match &parsed {
            None => false,
            Some(Parsed::Text(text)) => text != spec.default && !text.is_empty(),
            Some(parsed) => spec.default_value().as_ref() != Some(parsed),
        };
        let fulfilled = self.fulfilled(spec, &parsed);
        match spec.class {
            Class::Honoured => {}
            Class::NoEffect(reason) if asks => {
                let text = format!("has no effect here: {reason}");
                self.warn(Level::Note, Some(&value.origin), Some(&value.name), text);
            }
            Class::NotYet(area, Demand::Refuse) if asks => {
                let text = format!(
                    "{} is not built yet, and ignoring this key would weaken the server: remove it",
                    area.text()
                );
                self.problem(Some(&value.origin), Some((&value.name, &shown)), text);
            }
            Class::NotYet(area, Demand::Warn) if asks && !fulfilled => {
                // An audit log that is asked for and missing must not go unnoticed.
                let level = if spec.key == Key::AuditEnable {
                    Level::Danger
                } else {
                    Level::Warning
                };
                let text = format!("has no effect: {} is not built yet", area.text());
                self.warn(level, Some(&value.origin), Some(&value.name), text);
            }
            Class::NoEffect(_) | Class::NotYet(..) => {}
        }
    }

    /// Values that Java reads, but not as their writer may think.
    fn judge_spelling(&mut self, spec: &KeySpec, value: &Value, parsed: &Parsed) {
        let text = value.text.as_str();
        let read_as = match (spec.kind, parsed) {
            (Kind::Bool, Parsed::Bool(false)) if !text.eq_ignore_ascii_case("false") => {
                "false; only true is true"
            }
            (Kind::OnlyIf(word), Parsed::Bool(false)) if text.eq_ignore_ascii_case(word) => {
                "off; the word is matched letter by letter"
            }
            (Kind::OnlyIf("yes"), Parsed::Bool(false)) if text.eq_ignore_ascii_case("true") => {
                "off; only yes is on"
            }
            (Kind::Unless(word), Parsed::Bool(true)) if text.eq_ignore_ascii_case(word) => {
                "on; the word is matched letter by letter"
            }
            (Kind::Unless("no"), Parsed::Bool(true)) if text.eq_ignore_ascii_case("false") => {
                "on; only no is off"
            }
            (_, Parsed::Number(number)) if text.parse() != Ok(*number) => {
                let text = format!("{text} is read as {number}, as in Java");
                return self.warn(Level::Warning, Some(&value.origin), Some(&value.name), text);
            }
            _ => return,
        };
        let text = format!("{text:?} is read as {read_as}");
        self.warn(Level::Warning, Some(&value.origin), Some(&value.name), text);
    }

    /// Keys that Java reads only when something else is on: a bad value does not stop its start.
    fn unread(&self, spec: &KeySpec) -> bool {
        let provider = spec.name.starts_with("metricsProvider.");
        let election = spec.key == Key::CnxTimeout;
        let prometheus = self
            .text(Key::MetricsProvider)
            .is_some_and(|class| class.contains("Prometheus"));
        election || (provider && !prometheus)
    }

    fn fulfilled(&self, spec: &KeySpec, parsed: &Option<Parsed>) -> bool {
        if spec.section == "Four-letter words and admin server" {
            // Nothing of the admin server matters where it is switched off.
            return !self.bool(Key::AdminEnableServer);
        }
        // The null provider asks for less than there is.
        spec.key == Key::MetricsProvider
            && matches!(parsed, Some(Parsed::Text(class)) if !class.contains("Prometheus"))
    }

    fn set(&mut self, key: Key, value: Value) {
        let values = self.values.entry(key).or_default();
        match values.iter_mut().find(|own| own.name == value.name) {
            Some(own) => *own = value,
            None => values.push(value),
        }
    }

    /// All values of a family.
    pub(crate) fn family(&self, key: Key) -> Vec<Value> {
        self.note(key);
        self.values.get(&key).cloned().unwrap_or_default()
    }

    /// The value of a key that is no family.
    pub(crate) fn value(&self, key: Key) -> Option<&Value> {
        self.note(key);
        self.values.get(&key)?.first()
    }

    fn value_named(&self, key: Key, name: &str) -> Option<&Value> {
        self.values
            .get(&key)?
            .iter()
            .find(|value| value.name == name)
    }

    /// All values in the order of the table.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'static KeySpec, &Value)> {
        self.values
            .iter()
            .flat_map(|(key, values)| values.iter().map(|v| (key.spec(), v)))
    }

    /// The origin of a key, for messages about it.
    pub(crate) fn origin(&self, key: Key) -> Option<Origin> {
        self.value(key).map(|value| value.origin.clone())
    }

    pub(crate) fn text(&self, key: Key) -> Option<String> {
        self.value(key).map(|value| value.text.clone())
    }

    pub(crate) fn path(&self, key: Key) -> Option<PathBuf> {
        self.text(key).map(PathBuf::from)
    }

    /// The number, or the default where none is set or the value cannot be read.
    pub(crate) fn opt_long(&self, key: Key) -> Option<i64> {
        match self.parsed(key) {
            Some(Parsed::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// As [`Settings::opt_long`] for a key with a default.
    pub(crate) fn long(&self, key: Key) -> i64 {
        self.opt_long(key).unwrap_or(0)
    }

    pub(crate) fn opt_int(&self, key: Key) -> Option<i32> {
        self.opt_long(key)
            .and_then(|number| i32::try_from(number).ok())
    }

    pub(crate) fn int(&self, key: Key) -> i32 {
        self.opt_int(key).unwrap_or(0)
    }

    pub(crate) fn double(&self, key: Key) -> f64 {
        match self.parsed(key) {
            Some(Parsed::Double(number)) => number,
            _ => 0.0,
        }
    }

    pub(crate) fn bool(&self, key: Key) -> bool {
        matches!(self.parsed(key), Some(Parsed::Bool(true)))
    }

    fn parsed(&self, key: Key) -> Option<Parsed> {
        let spec = key.spec();
        let own = self
            .value(key)
            .and_then(|value| spec.parse(&value.text).ok());
        own.or_else(|| spec.default_value())
    }

    #[cfg(test)]
    fn note(&self, key: Key) {
        self.read.borrow_mut().insert(key);
    }

    #[cfg(not(test))]
    fn note(&self, _: Key) {}

    pub(crate) fn warn(
        &mut self,
        level: Level,
        origin: Option<&Origin>,
        key: Option<&str>,
        text: impl Into<String>,
    ) {
        let (origin, key, text) = (origin.cloned(), key.map(str::to_owned), text.into());
        self.warnings.push(Warning {
            level,
            origin,
            key,
            text,
        });
    }

    /// A remark about the value of a key.
    pub(crate) fn warn_key(&mut self, level: Level, key: Key, text: impl Into<String>) {
        let origin = self.origin(key);
        self.warn(level, origin.as_ref(), Some(key.spec().name), text);
    }

    pub(crate) fn problem(
        &mut self,
        origin: Option<&Origin>,
        setting: Option<(&str, &str)>,
        text: impl Into<String>,
    ) {
        let setting = setting.map(|(key, value)| (key.to_owned(), value.to_owned()));
        self.problems.push(Problem {
            origin: origin.cloned(),
            setting,
            text: text.into(),
            exit_code: 2,
        });
    }

    /// A reason that lies in the value of a key, or in its absence.
    pub(crate) fn problem_key(&mut self, key: Key, text: impl Into<String>) {
        match self.value(key).cloned() {
            Some(value) => {
                let shown = shown(key.spec(), &value.text);
                self.problem(Some(&value.origin), Some((&value.name, &shown)), text);
            }
            None => self.problem(None, None, format!("{}: {}", key.spec().name, text.into())),
        }
    }
}

/// The text of a value for people: passwords stay hidden.
pub(crate) fn shown(spec: &KeySpec, text: &str) -> String {
    if spec.secret() {
        "***".to_owned()
    } else {
        text.to_owned()
    }
}

/// `String.trim`: everything up to the blank, control characters included.
pub(crate) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn unknown(name: &str, nearest: Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("unknown, has no effect; did you mean {nearest}?"),
        None => format!("{name} is unknown and has no effect"),
    }
}

fn property_name(key: &str) -> String {
    match registry::find(key) {
        Some(spec) if spec.form == Form::CommandLine => format!("-D{key}"),
        Some(spec) if spec.form == Form::File => format!("{key} in the configuration file"),
        _ => format!("-Dzookeeper.{key}"),
    }
}
