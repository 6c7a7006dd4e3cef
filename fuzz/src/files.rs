//! Files of logs and snapshots with checksums set right, and what a server makes of them.

use simd_adler32::adler32;
use std::io::{Read, Write};
use std::path::Path;
use zooid_node::Settings;
use zooid_node::recover::Recovery;
use zooid_store::DataDirs;
use zooid_store::files::Files;
use zooid_store::layout::log_name;
use zooid_store::mem::MemFiles;
use zooid_store::recover::{RecoverOptions, recover};
use zooid_store::snapshot::parse::Step;
use zooid_store::snapshot::{
    CheckOnly, Compression, SnapshotParser, passes_precheck, read_content, read_file,
    snapshot_name, xerial,
};

use crate::Bytes;
use crate::memory::{Bound, check, measured};

/// Checksum and length before a payload, in bytes.
const ENTRY_HEAD: usize = 12;
/// Last byte of an entry.
const END_BYTE: u8 = b'B';
/// Bytes of a seal in a snapshot: the sum, and `/` as a string.
const SEAL: usize = 13;
/// Longest log entry that a server reads by default, bytes.
const MAX_PAYLOAD: usize = 2_097_150;

/// Logs are read in pieces of 256 KiB, several of them where damage is looked into; two trees that
/// hold nothing take 1.3 MB each.
const LOG_BOUND: Bound = Bound {
    fixed: 4 << 20,
    per_byte: 200,
};

/// A snapshot is read through one window that holds its longest item twice at most, and the
/// decompressors keep some hundred KiB. So what `zooid verify` and the purge do costs this and no
/// more, whatever the length of the content.
const CHECK_BOUND: Bound = Bound {
    fixed: 1 << 20,
    per_byte: 4,
};

/// What a server makes of the content: nodes with all their maps, for each at least 80 bytes of
/// content; entries of ACL tables. An empty tree takes 1.1 MB, and there are two.
const TREE_BOUND: Bound = Bound {
    fixed: 4 << 20,
    per_byte: 40,
};

/// Logs from an input, in a directory without a snapshot.
///
/// The first byte says whether checksums and end bytes are set right and whether the headers are
/// kept as they come; the next two where a second file begins.
pub fn log(input: &[u8]) {
    let mut input = Bytes(input);
    let mode = input.byte();
    let cut = input.short();
    let first = input.take(if mode & 2 == 0 { usize::MAX } else { cut });
    let files = MemFiles::default();
    let dirs = DataDirs::new("/data", None);
    let mut name = 1;
    for part in [first, input.0] {
        if part.is_empty() && name > 1 {
            break;
        }
        let mut bytes = part.to_vec();
        if mode & 4 == 0 {
            let header = zooid_store::log::header();
            bytes.splice(..bytes.len().min(header.len()), header);
        }
        if mode & 1 == 0 {
            let zxids = mend_log(&mut bytes);
            name = zxids.filter(|zxid| *zxid > 0).unwrap_or(name);
        }
        files.put(dirs.log_dir().join(log_name(name)), bytes);
        name = name.saturating_add(1);
    }
    files
        .create_dirs(&dirs.snap_dir())
        .expect("memory has room");
    let len: usize = files.contents().values().map(Vec::len).sum();
    let ((), peak) = measured(|| start(&files, &dirs));
    check(LOG_BOUND, len, peak);
}

/// Starts a server on a directory, and again on what it left: once it started, it starts.
fn start(files: &MemFiles, dirs: &DataDirs) {
    let options = RecoverOptions {
        trust_empty: true,
        ..RecoverOptions::default()
    };
    let settings = Settings {
        extended_types: true,
        ..Settings::default()
    };
    let read = || {
        let mut recovery = Recovery::new(&settings, |_| {});
        let recovered = recover(files, dirs, &options, &mut recovery);
        let recovered = recovered.map_err(|error| error.to_string())?;
        let tree = recovery.finish().map_err(|error| error.to_string())?;
        Ok::<_, String>((recovered, tree.tree))
    };
    let Ok((mut recovered, tree)) = read() else {
        return;
    };
    // Each start cuts one torn tail off, and there are two files.
    for _ in 0..3 {
        recovered
            .make_good(files, dirs)
            .expect("memory does not fail");
        let (again, same) = read().expect("what started once starts again");
        assert_eq!(recovered.last_zxid, again.last_zxid);
        assert_eq!(tree.digest(), same.digest());
        assert_eq!(tree.node_count(), same.node_count());
        assert_eq!(tree.sessions(), same.sessions());
        recovered = again;
    }
    assert_eq!(recovered.torn_tail, None);
}

/// Sets checksums and end bytes right, as far as lengths make entries; the zxid of the first.
fn mend_log(file: &mut [u8]) -> Option<i64> {
    let mut at = zooid_store::log::header().len();
    let mut first = None;
    while let Some(head) = file.get(at..at + ENTRY_HEAD) {
        let len = i32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        let Ok(len @ 1..=MAX_PAYLOAD) = usize::try_from(len) else {
            break;
        };
        let start = at + ENTRY_HEAD;
        let Some(payload) = file.get(start..start + len) else {
            break;
        };
        let sum = u64::from(adler32(&payload));
        first = first.or(zooid_store::log::payload_zxid(payload));
        file[at..at + 8].copy_from_slice(&sum.to_be_bytes());
        at = start + len + 1;
        match file.get_mut(at - 1) {
            Some(end) => *end = END_BYTE,
            None => break,
        }
    }
    first
}

/// A snapshot from an input.
///
/// Where the first byte is even, what follows is content: its seals are set right, and it is
/// compressed. Where it is odd, what follows is the file behind the header of the compression.
pub fn snapshot(compression: Compression, input: &[u8]) {
    let mut input = Bytes(input);
    let file = if input.byte() % 2 == 0 {
        let mut content = input.0.to_vec();
        mend_snapshot(&mut content);
        compress(compression, &content)
    } else {
        [header(compression), input.0].concat()
    };
    let files = MemFiles::default();
    let dirs = DataDirs::new("/data", None);
    let path = dirs.snap_dir().join(snapshot_name(1, compression));
    let len = file.len();
    files.put(&path, file);
    files.create_dirs(&dirs.log_dir()).expect("memory has room");

    let shape = shape(compression, &files, &path);
    let (checked, peak) = measured(|| read_file(&files, &path, &mut CheckOnly));
    check(CHECK_BOUND, len.max(shape.longest), peak);
    if let Ok(meta) = checked {
        assert!(meta.content_len <= shape.content as u64);
        let snapshots = dirs.snapshots(&files).expect("memory does not fail");
        let passes = passes_precheck(&files, &snapshots[0]).expect("memory does not fail");
        // Of a plain file the precheck sees the end, and there may be bytes behind it.
        assert!(passes || meta.trailing > 0 || compression == Compression::Plain);
    }
    let ((), peak) = measured(|| start(&files, &dirs));
    check(TREE_BOUND, len.max(shape.content), peak);
}

/// What is in a file, found without keeping it.
struct Shape {
    /// Bytes of content.
    content: usize,
    /// Most bytes that one step of the parser can ask for.
    longest: usize,
}

fn shape(compression: Compression, files: &MemFiles, path: &Path) -> Shape {
    struct Count<R>(R, usize);
    impl<R: Read> Read for Count<R> {
        fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
            let n = self.0.read(buf)?;
            self.1 += n;
            Ok(n)
        }
    }
    let file = files.get(path).expect("it was put there");
    let input: Box<dyn Read> = match compression {
        Compression::Plain => Box::new(&file[..]),
        Compression::Gz => Box::new(flate2::read::GzDecoder::new(&file[..])),
        Compression::Snappy => Box::new(xerial::Decoder::new(&file[..])),
    };
    let mut input = Count(input, 0);
    let mut before = 0;
    let mut longest = 0;
    let mut content = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(n @ 1..) = input.read(&mut chunk) {
        content.extend_from_slice(&chunk[..n]);
    }
    let mut parser = SnapshotParser::new();
    let mut at = 0;
    while let Ok(Step::Item { consumed, .. }) = parser.step(&content[at..]) {
        at += consumed;
        longest = longest.max(at - before);
        before = at;
    }
    // What stands behind the last item may be half of one that is longer than all.
    let longest = longest.max(content.len() - at);
    Shape {
        content: input.1,
        longest,
    }
}

/// Sets the seals right, wherever the parser finds one wrong.
fn mend_snapshot(content: &mut [u8]) {
    let mut mended = None;
    loop {
        let mut parser = SnapshotParser::new();
        let mut at = 0;
        let wrong = loop {
            match parser.step(&content[at..]) {
                Ok(Step::Item { consumed, .. }) => at += consumed,
                Ok(Step::Tail) => break None,
                Ok(Step::More { .. }) => return,
                Err(_) => break Some(parser.position() as usize),
            }
        };
        match wrong {
            // Not a seal, or not the seal alone.
            Some(_) if mended == wrong => return,
            Some(seal) => {
                mended = wrong;
                if !put_seal(content, seal) {
                    return;
                }
            }
            None => {
                let sections: &[usize] = match content.len() - at {
                    54 => &[20, 41],
                    33 => &[20],
                    21 => &[8],
                    _ => &[],
                };
                for section in sections {
                    put_seal(content, at + section);
                }
                return;
            }
        }
    }
}

fn put_seal(content: &mut [u8], at: usize) -> bool {
    let sum = u64::from(adler32(&&content[..at]));
    let Some(seal) = content.get_mut(at..at + SEAL) else {
        return false;
    };
    seal[..8].copy_from_slice(&sum.to_be_bytes());
    seal[8..].copy_from_slice(&[0, 0, 0, 1, b'/']);
    true
}

/// A whole file around a content.
pub fn compress(compression: Compression, content: &[u8]) -> Vec<u8> {
    const NO_IO: &str = "memory does not fail";
    match compression {
        Compression::Plain => content.to_vec(),
        Compression::Gz => {
            let level = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(content).expect(NO_IO);
            encoder.finish().expect(NO_IO)
        }
        Compression::Snappy => {
            let mut encoder = xerial::Encoder::new(Vec::new());
            encoder.write_all(content).expect(NO_IO);
            encoder.finish().expect(NO_IO)
        }
    }
}

/// The content of a file that was compressed.
pub fn content(compression: Compression, file: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let read = match compression {
        Compression::Plain => return file.to_vec(),
        Compression::Gz => flate2::read::GzDecoder::new(file).read_to_end(&mut content),
        Compression::Snappy => xerial::Decoder::new(file).read_to_end(&mut content),
    };
    read.expect("a whole file");
    read_content(&content[..], &mut CheckOnly).expect("a snapshot");
    content
}

/// What a file starts with that no input needs to find.
pub fn header(compression: Compression) -> &'static [u8] {
    match compression {
        Compression::Plain => b"ZKSN\0\0\0\x02\xff\xff\xff\xff\xff\xff\xff\xff",
        Compression::Gz => b"\x1f\x8b\x08\0\0\0\0\0\0\0",
        Compression::Snappy => b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01",
    }
}
