//! What can be wrong with a data directory, each with its file and what to do.

use crate::files::LockError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why the store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {doing} {}: {source}", .path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// A log cannot be trusted.
    #[error(transparent)]
    CorruptLog(#[from] Box<CorruptLog>),
    /// A snapshot cannot be read.
    #[error("snapshot {} is damaged at byte {offset} of its content: {what}", .path.display())]
    CorruptSnapshot {
        /// The file; empty when the snapshot came over the network.
        path: PathBuf,
        /// Offset in the uncompressed content.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Snapshots are there, none can be loaded.
    #[error(
        "no snapshot in {} can be loaded:{}; restore the directory from a backup or from another \
         member; if the logs reach back to the very first transaction, move the snapshots away and \
         start with snapshot.trust.empty=true",
        .dir.display(), list(.tried)
    )]
    NoValidSnapshot {
        /// Where.
        dir: PathBuf,
        /// Each candidate with what is wrong with it, newest first.
        tried: Vec<String>,
    },
    /// Logs are there, but no snapshot that they could start from.
    #[error(
        "{} holds no snapshot, but {} holds log entries up to zxid {last_zxid:#x}: the snapshot \
         that they start from is lost; restore it from a backup, or set \
         snapshot.trust.empty=true if the logs reach back to the very first transaction",
        .snap_dir.display(), .log_dir.display()
    )]
    SnapshotMissing {
        /// Where snapshots should be.
        snap_dir: PathBuf,
        /// Where the logs are.
        log_dir: PathBuf,
        /// Last zxid in them.
        last_zxid: i64,
    },
    /// The configured directories cannot be used.
    #[error("{path}: {what}", path = .path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why, and what to do.
        what: String,
    },
    /// Another server works in the directory.
    #[error(
        "{} is locked: another server {}; stop it, or give this one a directory of its own",
        .path.display(), .source
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who has it.
        source: LockError,
    },
    /// The writer failed before; nothing it holds is certain any more.
    #[error(
        "the log was given up after an earlier error; only a restart finds out what is on disk"
    )]
    GivenUp,
    /// The state that a snapshot was being taken of was replaced by another one.
    #[error("the state was replaced while its snapshot was being written")]
    Superseded,
    /// A new log file would replace one that holds entries.
    #[error("{} already holds entries from zxid {zxid:#x} on and will not be replaced", .path.display())]
    WouldOverwrite {
        /// The file in the way.
        path: PathBuf,
        /// Its first entry.
        zxid: i64,
    },
    /// An entry that must not reach the log.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A truncation that cannot be done.
    #[error("cannot truncate to zxid {zxid:#x}: {what}")]
    Truncate {
        /// To which zxid.
        zxid: i64,
        /// Why not.
        what: String,
    },
    /// An epoch file, or the relation between them, is wrong.
    #[error("{}: {what}", .path.display())]
    Epoch {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
}

/// An entry that no reader would take back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Longer than what Java reads (jute.maxbuffer plus its extra size).
    #[error(
        "a transaction of {len} bytes is over the limit of {max} bytes and could not be read back"
    )]
    TooLong {
        /// Payload bytes.
        len: usize,
        /// Most payload bytes.
        max: usize,
    },
    /// Shorter than a transaction header.
    #[error("a transaction of {len} bytes is shorter than its header of 32")]
    TooShort {
        /// Payload bytes.
        len: usize,
    },
    /// Not the next one of its epoch: a hole in the log is fatal for every reader.
    #[error("zxid {zxid:#x} does not follow {previous:#x}")]
    OutOfOrder {
        /// The one before.
        previous: i64,
        /// The one refused.
        zxid: i64,
    },
}

/// A log that cannot be trusted: where, what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorruptLog {
    /// The file.
    pub file: PathBuf,
    /// Offset of the damaged entry.
    pub offset: u64,
    /// Its zxid, as far as it can be read.
    pub zxid: Option<i64>,
    /// The last good zxid before it.
    pub after: Option<i64>,
    /// What is wrong.
    pub what: Damage,
}

/// What is wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Fewer bytes than a file header.
    ShortHeader {
        /// Bytes in the file.
        len: u64,
    },
    /// The first four bytes are not `ZKLG`.
    Magic([u8; 4]),
    /// A length that no entry has.
    Length(i32),
    /// A payload that is not what was written.
    Checksum {
        /// Adler-32 in the file.
        stored: u64,
        /// Adler-32 of the bytes.
        computed: u32,
    },
    /// A payload too short for a transaction header.
    TooShort(usize),
    /// The entry does not decode, or does not apply.
    Content(String),
    /// Transactions are missing before this entry.
    Hole {
        /// The last one before the hole.
        previous: i64,
        /// The file before ends inside an entry, at this offset.
        torn: Option<(PathBuf, u64)>,
        /// Otherwise: the file before, and where its entries end.
        before: Option<(PathBuf, u64)>,
    },
    /// The log seems to end here, but whole entries follow.
    EntriesFollow {
        /// Where the first one starts.
        offset: u64,
        /// Its zxid.
        zxid: i64,
    },
}

impl CorruptLog {
    /// What an operator can do about it.
    pub fn help(&self) -> &'static str {
        match self.what {
            Damage::Hole { .. } => {
                "the missing transactions are lost here: restore the directory from a backup, or, \
                 in an ensemble, empty it and let the server fetch everything from the leader"
            }
            Damage::ShortHeader { .. } | Damage::Magic(_) => {
                "if the file is not a log of this server, move it away; otherwise restore it from \
                 a backup, or, in an ensemble, empty the directory and let the server fetch \
                 everything from the leader"
            }
            _ => {
                "restore the file from a backup, or, in an ensemble, empty the directory and let \
                 the server fetch everything from the leader"
            }
        }
    }
}

impl std::error::Error for CorruptLog {}

impl fmt::Display for CorruptLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "log {} is damaged at offset {}",
            self.file.display(),
            self.offset
        )?;
        if let Some(zxid) = self.zxid {
            write!(f, " (zxid {zxid:#x})")?;
        }
        write!(f, ": {}", self.what)?;
        match self.after {
            Some(after) => write!(f, "; the last good entry is zxid {after:#x}")?,
            None => write!(f, "; no good entry comes before it")?,
        }
        write!(f, "; {}", self.help())
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::ShortHeader { len } => {
                write!(f, "the file has {len} bytes, its header alone takes 16")
            }
            Damage::Magic(bytes) => {
                write!(
                    f,
                    "the file starts with {bytes:02x?}, a log starts with ZKLG"
                )
            }
            Damage::Length(length) => write!(f, "no entry has the length {length}"),
            Damage::Checksum { stored, computed } => {
                write!(
                    f,
                    "the checksum is {computed:08x}, the file says {stored:08x}"
                )
            }
            Damage::TooShort(len) => {
                write!(f, "{len} bytes are too few for a transaction header")
            }
            Damage::Content(what) => f.write_str(what),
            Damage::Hole {
                previous,
                torn,
                before,
            } => {
                write!(f, "transactions behind {previous:#x} are missing")?;
                match (torn, before) {
                    (Some((file, offset)), _) => {
                        write!(f, " ({} ends inside an entry at {offset})", file.display())
                    }
                    (None, Some((file, offset))) => {
                        write!(f, " (the entries of {} end at {offset})", file.display())
                    }
                    (None, None) => Ok(()),
                }
            }
            Damage::EntriesFollow { offset, zxid } => write!(
                f,
                "the entry is incomplete, but a whole one (zxid {zxid:#x}) follows at {offset}"
            ),
        }
    }
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  {line}")).collect()
}

/// Adds what was tried, and on what, to an answer of the operating system.
pub trait Context<T> {
    /// The answer, with `doing` and `path` in its error.
    fn on(self, doing: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> Context<T> for io::Result<T> {
    fn on(self, doing: &'static str, path: &Path) -> Result<T, StoreError> {
        let path = path.to_path_buf();
        self.map_err(|source| StoreError::Io {
            doing,
            path,
            source,
        })
    }
}
