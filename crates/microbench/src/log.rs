//! The transaction log, into files in memory: frames, checksums, one write and one sync a batch.

use crate::Times;
use crate::samples;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use zooid_store::Files;
use zooid_store::log::{LogBatch, LogOptions, LogWriter};
use zooid_store::mem::MemFiles;

pub(crate) fn append(times: Times) {
    append_batches(times, 1);
}

pub(crate) fn append_many(times: Times) {
    append_batches(times, 64);
}

fn append_batches(times: Times, entries: u64) {
    let path = samples::path(1);
    let mut payload = Vec::new();
    samples::entry(1, samples::set(&path)).encode(&mut payload);
    let mut log = writer(Path::new("/log"));
    let mut batch = LogBatch::default();
    // The first batch makes the file.
    batch.push(&payload).expect("it is short");
    log.write(&batch).expect("memory takes all");
    let mut zxid: i64 = 1;
    times.each(|_| {
        batch.clear();
        for _ in 0..entries {
            zxid += 1;
            payload[12..20].copy_from_slice(&zxid.to_be_bytes());
            batch.push(black_box(&payload)).expect("it is short");
        }
        log.write(&batch).expect("memory takes all");
        log.sync().expect("memory is durable");
    });
}

/// A log whose file does not grow while it is written.
pub(crate) fn writer(dir: &Path) -> LogWriter {
    let files = MemFiles::default();
    files.create_dirs(dir).expect("memory takes all");
    let options = LogOptions {
        pre_alloc: 4 << 20,
        ..LogOptions::default()
    };
    LogWriter::new(Arc::new(files), dir, options, None)
}
