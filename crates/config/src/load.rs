//! From the sources of a configuration to the configuration, or to all that is wrong with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::flags::{self, SystemProperty};
use crate::keys::Key;
use crate::os;
use crate::problem::{ConfigError, Level, Origin, Problem, Warning};
use crate::settings::{Settings, shown};
use crate::typed;

/// Where a configuration comes from. The default is a start without anything.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The configuration file. It is read from the disk unless `text` is given.
    pub file: Option<PathBuf>,
    /// The content of the configuration file, where the caller has it already.
    pub text: Option<Vec<u8>>,
    /// `--data-dir`, stronger than all else. It does not move `dataLogDir` of a file.
    pub data_dir: Option<PathBuf>,
    /// `--client-port`, stronger than all else.
    pub client_port: Option<u16>,
    /// `-Dname=value` words of the command line; see [`SystemProperty::from_word`].
    pub system_properties: Vec<SystemProperty>,
    /// Environment variables; `SERVER_JVMFLAGS`, `JVMFLAGS` and `ZOO_DATADIR_AUTOCREATE_DISABLE`
    /// are looked at. [`crate::environment`] gives those of the process.
    pub env: Vec<(String, String)>,
}

/// A configuration to start with, and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Remarks in the order of the sources.
    pub warnings: Vec<Warning>,
}

/// What `zooid check-config` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Lines for people: errors, then warnings, then what differs from the defaults.
    pub text: String,
    /// 0 where the server would start, else what it would end with.
    pub exit_code: u8,
}

impl Config {
    /// Reads the sources: the file is stronger than system properties, the options of the command
    /// line are stronger than the file. Reads the file, the dynamic configuration file that it
    /// names, and `myid`; nothing is written, no name is resolved, no port opened.
    ///
    /// # Errors
    /// Everything that is wrong, with file, line, key, value and what was expected.
    pub fn load(sources: Sources) -> Result<Loaded, ConfigError> {
        let (settings, config) = gather(sources);
        match config {
            Some(config) if settings.problems.is_empty() => Ok(Loaded {
                config,
                warnings: settings.warnings,
            }),
            _ => Err(ConfigError {
                problems: settings.problems,
            }),
        }
    }
}

/// All that there is to say about a configuration, whether a server would start with it or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Examined {
    /// Reasons not to start.
    pub problems: Vec<Problem>,
    /// Remarks.
    pub warnings: Vec<Warning>,
    /// What the sources mean, where they could be read at all; with problems, parts of it are guesses.
    pub config: Option<Config>,
}

/// Looks at the sources without starting anything.
pub fn examine(sources: Sources) -> Examined {
    let (settings, config) = gather(sources);
    Examined {
        problems: settings.problems,
        warnings: settings.warnings,
        config,
    }
}

/// Checks the sources without starting anything.
pub fn check(sources: Sources) -> Report {
    let name = match &sources.file {
        Some(file) => file.display().to_string(),
        None => "no configuration file".to_owned(),
    };
    let (settings, _) = gather(sources);
    let mut text = String::new();
    for problem in &settings.problems {
        let _ = writeln!(text, "error: {problem}");
    }
    for warning in &settings.warnings {
        let level = match warning.level {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Danger => "DANGER",
        };
        let _ = writeln!(text, "{level}: {warning}");
    }
    let mut different = String::new();
    for (spec, value) in settings.all() {
        let same = spec.parse(&value.text).ok() == spec.default_value();
        if same && !spec.default.is_empty() {
            continue;
        }
        let default = match spec.default {
            "" => String::new(),
            default => format!(", default {default}"),
        };
        let shown = shown(spec, &value.text);
        let _ = writeln!(
            different,
            "  {}={shown}  ({}{default})",
            value.name, value.origin
        );
    }
    if !different.is_empty() {
        let _ = write!(text, "set, other than the default:\n{different}");
    }
    let exit_code = match settings.problems.len() {
        0 => 0,
        _ => ConfigError {
            problems: settings.problems.clone(),
        }
        .exit_code(),
    };
    let _ = match (settings.problems.len(), settings.warnings.len()) {
        (0, 0) => writeln!(text, "{name}: ok"),
        (0, warnings) => writeln!(text, "{name}: ok, {}", counted(warnings, "remark")),
        (errors, _) => writeln!(text, "{name}: {}, the server does not start", {
            counted(errors, "error")
        }),
    };
    Report { text, exit_code }
}

/// The configuration file that the environment of Apache ZooKeeper's scripts names: `ZOOCFG` in
/// `ZOOCFGDIR`, if the latter is set.
pub fn config_file_from_environment(env: &[(String, String)]) -> Option<PathBuf> {
    let variable = |name: &str| {
        let value = env
            .iter()
            .rev()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str());
        value.filter(|value| !value.is_empty())
    };
    Some(Path::new(variable("ZOOCFGDIR")?).join(variable("ZOOCFG").unwrap_or("zoo.cfg")))
}

fn gather(sources: Sources) -> (Settings, Option<Config>) {
    let mut settings = Settings::default();
    let file = sources.file.as_deref();
    let text = match (sources.text, file) {
        (Some(text), _) => Some(text),
        (None, None) => None,
        (None, Some(path)) => match os::read(path) {
            Ok(text) => Some(text),
            Err(error) => {
                let text = match error.kind() {
                    std::io::ErrorKind::NotFound => "the configuration file is missing".to_owned(),
                    _ => format!("the configuration file cannot be read: {error}"),
                };
                let text = format!("{}: {text}", path.display());
                settings.problems.push(Problem {
                    origin: None,
                    setting: None,
                    text,
                    exit_code: 2,
                });
                return (settings, None);
            }
        },
    };
    if let Some(text) = &text {
        settings.add_file(file.unwrap_or(Path::new("zoo.cfg")), text);
        if !settings.problems.is_empty() {
            // The text is no properties file: what else would be said follows from that.
            return (settings, None);
        }
    }
    let flags = flags::from_environment(&sources.env);
    let mut properties = flags.properties;
    properties.extend(sources.system_properties);
    settings.add_properties(properties);
    if !flags.other.is_empty() {
        let words: Vec<&str> = flags.other.iter().map(|(_, word)| word.as_str()).collect();
        let text = format!(
            "ignored, only a Java server has a use for it: {}",
            words.join(" ")
        );
        settings.warn(Level::Note, None, None, text);
    }
    if let Some(path) = sources.data_dir {
        // Java strings cannot hold every path; neither can the table of texts.
        settings.add_option(
            Key::DataDir,
            path.to_string_lossy().into_owned(),
            "--data-dir",
        );
    }
    if let Some(port) = sources.client_port {
        settings.add_option(Key::ClientPort, port.to_string(), "--client-port");
    }
    if text.is_none() {
        settings.add_default(Key::DataDir, "./data");
        settings.add_default(Key::ClientPort, "2181");
    }
    settings.judge();
    let config = typed::build(&mut settings, file, text.as_deref().unwrap_or_default());
    sort(&mut settings);
    (settings, Some(config))
}

/// Problems and remarks in the order in which their places stand in the sources.
fn sort(settings: &mut Settings) {
    fn place(origin: &Option<Origin>) -> (u8, PathBuf, usize) {
        match origin {
            Some(Origin::File { path, line }) => (0, path.clone(), *line),
            Some(_) => (1, PathBuf::new(), 0),
            None => (2, PathBuf::new(), 0),
        }
    }
    settings
        .problems
        .sort_by_key(|problem| place(&problem.origin));
    settings
        .warnings
        .sort_by_key(|warning| place(&warning.origin));
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::KEYS;
    use crate::registry::Class;

    #[test]
    fn every_honoured_key_reaches_the_configuration() {
        let (alone, _) = gather(Sources::default());
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("myid"), "1").unwrap();
        let text = format!(
            "dataDir={}\nclientPort=1\ninitLimit=5\nsyncLimit=2\nserver.1=a:1:2\nserver.2=b:1:2\n",
            dir.path().display()
        );
        let (member, _) = gather(Sources {
            text: Some(text.into_bytes()),
            ..Sources::default()
        });
        let mut read = alone.read.borrow().clone();
        read.extend(member.read.borrow().iter().copied());
        for spec in KEYS.iter().filter(|spec| spec.class == Class::Honoured) {
            assert!(
                read.contains(&spec.key),
                "{} is called honoured, but nobody reads it",
                spec.name
            );
        }
    }
}
