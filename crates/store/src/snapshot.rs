//! Snapshots: a stream of sessions, ACLs and nodes with running Adler-32 seals, in a file named
//! by the last zxid that it contains for certain.
//!
//! - [`encode`]: values to content
//! - [`parse`]: content to values, without input or output
//! - [`xerial`]: the snappy stream that Java uses
//! - here: files, and the compression that their name tells

pub mod encode;
pub mod parse;
pub mod xerial;

pub use encode::{SnapshotEncoder, put_node};
pub use parse::{Seal, SnapshotItem, SnapshotMeta, SnapshotParser};

use crate::error::{Context, StoreError};
use crate::files::{File, Files, unfinished};
use crate::layout::{NamedFile, SNAPSHOT};
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zooid_proto::records::{Acl, StatPersisted};

/// Bytes gathered before they are handed on.
const CHUNK: usize = 256 << 10;

/// Bytes written at most between two syncs. One sync of all at the end would hold up those of the log
/// on the same disk for as long as the whole snapshot takes.
const SYNC_EVERY: u64 = 8 << 20;

/// How a snapshot is compressed (zookeeper.snapshot.compression.method).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    Plain,
    /// One gzip member.
    Gz,
    /// The stream of snappy-java, not the framing format of the snappy project.
    Snappy,
}

/// One node of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotNode<'a> {
    /// Its path; the root is the empty path.
    pub path: Cow<'a, str>,
    /// Its data; null and empty differ.
    pub data: Option<&'a [u8]>,
    /// Id in the ACL table of this snapshot, -1 for world:anyone with all permissions. A snapshot
    /// taken by Java under load may use ids that its table lacks.
    pub acl_id: i64,
    /// Its state.
    pub stat: StatPersisted,
}

/// The digest section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotDigest {
    /// The last transaction that the digest includes: the end of the fuzzy window.
    pub zxid: i64,
    /// Version of the calculation; 2 is in use.
    pub version: i32,
    /// Sum over all nodes; 0 with zxid 0 when no transaction was applied yet.
    pub value: i64,
}

/// Takes what a snapshot holds, in the order of the file. An error rejects the whole snapshot.
pub trait SnapshotSink {
    /// A session and its negotiated timeout.
    fn session(&mut self, id: i64, timeout_ms: i32) -> Result<(), String>;
    /// An entry of the ACL table.
    fn acl(&mut self, id: i64, acl: &[Acl<'_>]) -> Result<(), String>;
    /// A node. Parents come before their children; anything else must be refused.
    fn node(&mut self, node: &SnapshotNode<'_>) -> Result<(), String>;
}

/// A sink that keeps nothing: reading into it checks all seals.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOnly;

impl SnapshotSink for CheckOnly {
    fn session(&mut self, _id: i64, _timeout_ms: i32) -> Result<(), String> {
        Ok(())
    }
    fn acl(&mut self, _id: i64, _acl: &[Acl<'_>]) -> Result<(), String> {
        Ok(())
    }
    fn node(&mut self, _node: &SnapshotNode<'_>) -> Result<(), String> {
        Ok(())
    }
}

impl Compression {
    /// What a configuration value means: anything unknown is plain, as for Java.
    pub fn from_method(method: &str) -> Compression {
        match method {
            "gz" => Compression::Gz,
            "snappy" => Compression::Snappy,
            _ => Compression::Plain,
        }
    }

    /// What a file name means: the last part between dots counts.
    pub fn of_name(name: &str) -> Compression {
        match name.rsplit('.').next() {
            Some(part) => Compression::from_method(&part.to_ascii_lowercase()),
            None => Compression::Plain,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Compression::Plain => "",
            Compression::Gz => ".gz",
            Compression::Snappy => ".snappy",
        }
    }
}

/// The name of a snapshot.
pub fn snapshot_name(zxid: i64, compression: Compression) -> String {
    format!("{SNAPSHOT}.{zxid:x}{}", compression.suffix())
}

/// A quick look whether a file can be a whole snapshot: Java chooses its candidates by it. A
/// compressed one passes with its first bytes alone.
pub fn passes_precheck(files: &dyn Files, snapshot: &NamedFile) -> Result<bool, StoreError> {
    let path = &snapshot.path;
    let mut bytes = [0; 8];
    let (want, at, expected): (usize, u64, &[u8]) = match Compression::of_name(&name(path)) {
        Compression::Plain if snapshot.len < 10 => return Ok(false),
        Compression::Plain => (5, snapshot.len - 5, &[0, 0, 0, 1, b'/']),
        Compression::Gz => (2, 0, &[0x1f, 0x8b]),
        Compression::Snappy => (8, 0, &xerial::MAGIC),
    };
    let file = files.open_read(path).on("open", path)?;
    let mut source = Source { file, at };
    let mut have = 0;
    while have < want {
        match source.read(&mut bytes[have..want]).on("read", path)? {
            0 => return Ok(false),
            n => have += n,
        }
    }
    Ok(bytes[..want] == *expected)
}

/// Reads a snapshot whole into `sink`, whatever its compression.
pub fn read_file(
    files: &dyn Files,
    path: &Path,
    sink: &mut dyn SnapshotSink,
) -> Result<SnapshotMeta, StoreError> {
    let file = files.open_read(path).on("open", path)?;
    let source = Source { file, at: 0 };
    let corrupt = |offset, what| {
        let path = path.to_path_buf();
        StoreError::CorruptSnapshot { path, offset, what }
    };
    let result = match Compression::of_name(&name(path)) {
        Compression::Plain => read_content(source, sink),
        Compression::Gz => read_content(GzDecoder::new(source), sink),
        Compression::Snappy => read_content(xerial::Decoder::new(source), sink),
    };
    match result {
        Ok(meta) => Ok(meta),
        Err(ReadError::Corrupt { offset, what }) => Err(corrupt(offset, what)),
        Err(ReadError::Io { offset, source }) => match source.kind() {
            // Decompressors report damage this way.
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => Err(corrupt(offset, source.to_string())),
            _ => Err(source).on("read", path),
        },
    }
}

/// Why content could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The content is not a snapshot, or the sink refused it.
    #[error("the snapshot is damaged at byte {offset}: {what}")]
    Corrupt {
        /// Offset in the content.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The source failed.
    #[error("cannot read the snapshot behind byte {offset}: {source}")]
    Io {
        /// Offset in the content.
        offset: u64,
        /// The error of the source.
        source: io::Error,
    },
}

/// Reads uncompressed content whole into `sink`. Memory grows to the longest node, in steps of
/// bytes that arrived.
pub fn read_content(
    mut input: impl Read,
    sink: &mut dyn SnapshotSink,
) -> Result<SnapshotMeta, ReadError> {
    let mut parser = SnapshotParser::new();
    let mut window = Window::default();
    loop {
        let offset = parser.position();
        let corrupt = |what| ReadError::Corrupt { offset, what };
        let bytes = window.bytes();
        let want = match parser.step(bytes).map_err(corrupt)? {
            parse::Step::Item { item, consumed } => {
                match item {
                    SnapshotItem::Header => Ok(()),
                    SnapshotItem::Session { id, timeout_ms } => sink.session(id, timeout_ms),
                    SnapshotItem::Acl { id, acl } => sink.acl(id, &acl),
                    SnapshotItem::Node(node) => sink.node(&node),
                }
                .map_err(corrupt)?;
                window.start += consumed;
                continue;
            }
            parse::Step::Tail if window.ended || bytes.len() > parse::MAX_TAIL => {
                return parser.finish(bytes).map_err(corrupt);
            }
            parse::Step::Tail => bytes.len() + 1,
            parse::Step::More { .. } if window.ended => {
                return Err(corrupt("the file ends inside its content".to_string()));
            }
            parse::Step::More { want } => want,
        };
        let filled = window.fill(&mut input, want);
        filled.map_err(|source| ReadError::Io { offset, source })?;
    }
}

/// What was read and not used yet.
#[derive(Default)]
struct Window {
    buf: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
}

impl Window {
    fn bytes(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Reads until `want` bytes are there, or the input ends. The buffer doubles as it fills, so
    /// it stays within twice of what arrived.
    fn fill(&mut self, input: &mut impl Read, want: usize) -> io::Result<()> {
        self.buf.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        // What is there is parsed again each time: not for every few bytes.
        let want = want.max(self.end.saturating_mul(2));
        while self.end < want && !self.ended {
            if self.end == self.buf.len() {
                let more = self.buf.len().clamp(CHUNK / 32, CHUNK.max(self.end));
                self.buf.resize(self.end + more, 0);
            }
            match input.read(&mut self.buf[self.end..]) {
                Ok(0) => self.ended = true,
                Ok(n) => self.end += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Writes one snapshot file: under a name that no reader looks at, then synced, then renamed. An
/// older file of that name stays whole until then. Dropped before [`SnapshotWriter::finish`], it
/// leaves nothing.
pub struct SnapshotWriter {
    files: Arc<dyn Files>,
    encoder: Option<SnapshotEncoder<Compressor>>,
    draft: PathBuf,
    path: PathBuf,
    zxid: i64,
}

#[derive(Debug)]
enum Compressor {
    Plain(Target),
    Gz(GzEncoder<Target>),
    Snappy(xerial::Encoder<Target>),
}

impl SnapshotWriter {
    /// Starts the snapshot of a state that includes every effect up to `zxid`, and writes the
    /// sessions and the ACL table.
    pub fn create<'a>(
        files: Arc<dyn Files>,
        dir: &Path,
        zxid: i64,
        compression: Compression,
        sessions: impl ExactSizeIterator<Item = (i64, i32)>,
        acls: impl ExactSizeIterator<Item = (i64, &'a [Acl<'a>])>,
    ) -> Result<SnapshotWriter, StoreError> {
        assert!(
            zxid >= 0,
            "a snapshot of zxid {zxid} would not be found again"
        );
        let path = dir.join(snapshot_name(zxid, compression));
        let draft = unfinished(&path);
        let file = files.create(&draft).on("create", &draft)?;
        let target = Target {
            file,
            at: 0,
            synced: 0,
            buf: Vec::new(),
        };
        let compressor = match compression {
            Compression::Plain => Compressor::Plain(target),
            Compression::Gz => {
                Compressor::Gz(GzEncoder::new(target, flate2::Compression::default()))
            }
            Compression::Snappy => Compressor::Snappy(xerial::Encoder::new(target)),
        };
        let mut writer = SnapshotWriter {
            files,
            encoder: None,
            draft,
            path,
            zxid,
        };
        let encoder = SnapshotEncoder::new(compressor, sessions, acls);
        writer.encoder = Some(encoder.on("write to", &writer.draft)?);
        Ok(writer)
    }

    /// Writes a node; the root (the empty path) comes first, parents before children.
    pub fn node(&mut self, node: &SnapshotNode<'_>) -> Result<(), StoreError> {
        self.encoder().node(node).on("write to", &self.draft)
    }

    /// Writes nodes that [`put_node`] encoded.
    pub fn nodes(&mut self, encoded: &[u8]) -> Result<(), StoreError> {
        self.encoder().nodes(encoded).on("write to", &self.draft)
    }

    /// Writes the end, makes the file durable and gives it its name.
    ///
    /// A default Java server reads both sections or neither: `last_zxid` without `digest` makes
    /// the file useless to it.
    pub fn finish(
        mut self,
        digest: Option<SnapshotDigest>,
        last_zxid: Option<i64>,
    ) -> Result<NamedFile, StoreError> {
        let encoder = self.encoder.take().expect("finish takes the writer");
        let compressor = encoder
            .finish(digest, last_zxid)
            .on("write to", &self.draft)?;
        let mut target = compressor.finish().on("write to", &self.draft)?;
        target.flush().on("write to", &self.draft)?;
        target.file.sync_data().on("sync", &self.draft)?;
        let len = target.at;
        drop(target);
        self.files
            .rename(&self.draft, &self.path)
            .on("rename", &self.draft)?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        self.files.sync_dir(dir).on("sync directory", dir)?;
        Ok(NamedFile {
            path: self.path.clone(),
            zxid: self.zxid,
            len,
        })
    }

    fn encoder(&mut self) -> &mut SnapshotEncoder<Compressor> {
        self.encoder.as_mut().expect("there until finish")
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        // After finish the draft has its final name and there is nothing to remove.
        let _ = self.files.remove(&self.draft);
    }
}

impl Compressor {
    fn finish(self) -> io::Result<Target> {
        match self {
            Compressor::Plain(target) => Ok(target),
            Compressor::Gz(encoder) => encoder.finish(),
            Compressor::Snappy(encoder) => encoder.finish(),
        }
    }
}

impl Write for Compressor {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Compressor::Plain(out) => out.write(bytes),
            Compressor::Gz(out) => out.write(bytes),
            Compressor::Snappy(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
struct Target {
    file: Box<dyn File>,
    at: u64,
    /// Bytes of the file that are on disk.
    synced: u64,
    buf: Vec<u8>,
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buf.len() + bytes.len() > CHUNK {
            self.flush()?;
        }
        if bytes.len() >= CHUNK {
            self.file.write_at(bytes, self.at)?;
            self.at += bytes.len() as u64;
            self.sync_in_parts()?;
        } else {
            self.buf.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buf.is_empty() {
            self.file.write_at(&self.buf, self.at)?;
            self.at += self.buf.len() as u64;
            self.buf.clear();
            self.sync_in_parts()?;
        }
        Ok(())
    }
}

impl Target {
    fn sync_in_parts(&mut self) -> io::Result<()> {
        if self.at - self.synced >= SYNC_EVERY {
            self.file.sync_data()?;
            self.synced = self.at;
        }
        Ok(())
    }
}

#[derive(Debug)]
struct Source {
    file: Box<dyn File>,
    at: u64,
}

impl Read for Source {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

fn name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
