//! What is wrong or worth knowing about a configuration, and where it was said.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, counted from 1.
    File {
        /// The file as it was named.
        path: PathBuf,
        /// The line that the setting begins on.
        line: usize,
    },
    /// A `-Dname=value` word.
    Property {
        /// The full name of the property.
        name: String,
        /// Who said it.
        by: PropertySource,
    },
    /// An option of the command line, such as `--data-dir`.
    Option(&'static str),
    /// The defaults of a start without a configuration file.
    NoFile,
}

/// Who set a system property, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PropertySource {
    /// `ZOO_DATADIR_AUTOCREATE_DISABLE`, which the start script turns into a property.
    AutocreateVariable,
    /// A word of the environment variable `SERVER_JVMFLAGS`.
    ServerJvmFlags,
    /// A word of the environment variable `JVMFLAGS`.
    JvmFlags,
    /// A word of the command line.
    CommandLine,
}

/// How much a [`Warning`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Good to know; nothing to do.
    Note,
    /// Something does not have the effect that its writer may expect.
    Warning,
    /// Data or access is at risk.
    Danger,
}

/// One remark about a configuration that does not stop the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// How much it matters.
    pub level: Level,
    /// Where the setting stands, if the remark is about one.
    pub origin: Option<Origin>,
    /// The key, as it was written.
    pub key: Option<String>,
    /// The remark, without place and key.
    pub text: String,
}

/// One reason not to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the setting stands, if the reason is one.
    pub origin: Option<Origin>,
    /// The key and the value, as they were written; the value of a password is not shown.
    pub setting: Option<(String, String)>,
    /// What is wrong or what was expected.
    pub text: String,
    /// The exit code that Apache ZooKeeper ends with.
    pub exit_code: u8,
}

/// Why a configuration cannot be used: all reasons, never none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ConfigError {
    /// The reasons in the order of the sources.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// The exit code for the process, as Apache ZooKeeper 3.9.5 has it: 2, but 1 where all reasons
    /// are unexpected errors there.
    pub fn exit_code(&self) -> u8 {
        self.problems
            .iter()
            .map(|problem| problem.exit_code)
            .max()
            .unwrap_or(2)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::File { path, line } => write!(f, "{}:{line}", path.display()),
            Origin::Property { name, by } => write!(f, "-D{name} ({by})"),
            Origin::Option(option) => f.write_str(option),
            Origin::NoFile => f.write_str("no configuration file"),
        }
    }
}

impl fmt::Display for PropertySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PropertySource::AutocreateVariable => "ZOO_DATADIR_AUTOCREATE_DISABLE",
            PropertySource::ServerJvmFlags => "SERVER_JVMFLAGS",
            PropertySource::JvmFlags => "JVMFLAGS",
            PropertySource::CommandLine => "command line",
        })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.origin.as_ref())?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        place(f, self.origin.as_ref())?;
        if let Some((key, value)) = &self.setting {
            write!(f, "{key}={value}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            write!(f, "{}{problem}", if index == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

fn place(f: &mut fmt::Formatter<'_>, origin: Option<&Origin>) -> fmt::Result {
    match origin {
        Some(origin) => write!(f, "{origin}: "),
        None => Ok(()),
    }
}
