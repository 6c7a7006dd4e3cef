//! Damage to logs: what a crash leaves is repaired, everything else is refused, nothing wrong is
//! ever taken.

use crate::model::{edit, load, payload, start};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;
use zooid_store::log::{LogBatch, LogOptions, LogWriter, MAX_PAYLOAD, header};
use zooid_store::log_reader::LogReader;
use zooid_store::mem::MemFiles;
use zooid_store::{DataDirs, StoreError};

const LOG: &str = "/data/version-2/log.1";
/// Where the last entry of `standalone-all` (zxid 0x38) starts and ends.
const LAST: usize = 6527;
const END: usize = 6602;

/// The table of section 3.4: what Java makes of the newest log.
#[test]
fn section_3_4_the_newest_log() {
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let length = |length: i32| -> Change {
        Box::new(move |bytes| bytes[LAST + 8..LAST + 12].copy_from_slice(&length.to_be_bytes()))
    };
    let cases: Vec<(&str, Change, Option<i64>)> = vec![
        (
            "second half zero",
            Box::new(|bytes| bytes[LAST + 40..].fill(0)),
            Some(0x37),
        ),
        (
            "no end byte",
            Box::new(|bytes| bytes[END - 1] = 0),
            Some(0x37),
        ),
        (
            "middle zero",
            Box::new(|bytes| bytes[LAST + 30..LAST + 46].fill(0)),
            None,
        ),
        ("checksum, length 0", length(0), Some(0x37)),
        ("length -5", length(-5), None),
        ("length -1", length(-1), None),
        ("length 2^31-1", length(i32::MAX), None),
        ("length 2097151", length(2_097_151), None),
        ("length 2097150", length(2_097_150), Some(0x37)),
        (
            "version 99, dbid 7",
            Box::new(|bytes| (bytes[7], bytes[15]) = (99, 7)),
            Some(0x38),
        ),
        ("wrong magic", Box::new(|bytes| bytes[0] = b'z'), None),
        ("all zeros", Box::new(|bytes| bytes.fill(0)), None),
        (
            "a flipped bit",
            Box::new(|bytes| bytes[LAST + 50] ^= 16),
            None,
        ),
        (
            "no padding",
            Box::new(|bytes| bytes.truncate(END)),
            Some(0x38),
        ),
        (
            "a few bytes of padding",
            Box::new(|bytes| bytes.truncate(END + 5)),
            Some(0x38),
        ),
    ];
    for (case, change, expected) in cases {
        let (files, dirs) = load("standalone-all");
        edit(&files, LOG, change);
        match (start(&files, &dirs), expected) {
            (Ok((model, recovered)), Some(zxid)) => {
                assert_eq!(
                    (recovered.last_zxid, model.zxids.len() as i64),
                    (zxid, zxid),
                    "{case}"
                );
                assert_eq!(recovered.torn_tail.is_some(), zxid == 0x37, "{case}");
            }
            (Err(StoreError::CorruptLog(damage)), None) => {
                assert!(
                    damage.offset == LAST as u64 || damage.offset == 0,
                    "{case}: {damage}"
                );
            }
            (result, _) => panic!("{case}: {result:?}"),
        }
    }
}

#[test]
fn a_log_cut_anywhere_ends_before_the_cut() {
    let (original, dirs) = load("standalone-all");
    let whole = original.get(LOG).unwrap();
    let mut reader = LogReader::open(&original, Path::new(LOG), MAX_PAYLOAD).unwrap();
    let mut ends = vec![16];
    while reader.advance().unwrap() {
        ends.push(reader.position() as usize);
    }
    for len in (16..END).step_by(7).chain(LAST - 3..=END) {
        let files = original.fork();
        files.put(LOG, &whole[..len]);
        let (model, recovered) = start(&files, &dirs).unwrap();
        let entries = ends.iter().filter(|end| **end <= len).count() - 1;
        assert_eq!(model.zxids.len(), entries, "cut at {len}");
        // The first bytes of an entry are zero and look like padding.
        let torn = whole[ends[entries]..len].iter().any(|byte| *byte != 0);
        assert_eq!(recovered.torn_tail.is_some(), torn, "cut at {len}");
        let left = if torn { ends[entries] } else { len };
        assert_eq!(files.get(LOG).unwrap().len(), left, "cut at {len}");
    }
}

/// A directory with a snapshot of zxid 0 and one log of these batches, and the ends of the batches.
fn directory(batches: &[Vec<Vec<u8>>]) -> (MemFiles, DataDirs, Vec<u64>) {
    let (files, dirs) = load("standalone-all");
    zooid_store::files::Files::remove(&files, Path::new(LOG)).unwrap();
    let options = LogOptions {
        pre_alloc: 64 << 10,
        ..LogOptions::default()
    };
    let mut log = LogWriter::new(Arc::new(files.clone()), dirs.log_dir(), options, Some(0));
    let mut ends = Vec::new();
    for entries in batches {
        let mut batch = LogBatch::default();
        for entry in entries {
            batch.push(entry).unwrap();
        }
        log.write(&batch).unwrap();
        log.sync().unwrap();
        ends.push(log.written_len());
    }
    (files, dirs, ends)
}

/// Entries of many lengths, numbered from 1, in batches.
fn batches() -> impl Strategy<Value = Vec<Vec<Vec<u8>>>> {
    let entry = proptest::collection::vec(1u8.., 0..900);
    let batch = proptest::collection::vec(entry, 1..8);
    proptest::collection::vec(batch, 1..6).prop_map(|mut batches| {
        let mut zxid = 0;
        for entry in batches.iter_mut().flatten() {
            zxid += 1;
            *entry = [&payload(zxid, 0)[..], entry].concat();
        }
        batches
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// The promise: whatever subset of the unsynced sectors a crash keeps, the start works, and
    /// everything synced is there.
    #[test]
    fn a_crash_in_a_batch_keeps_what_was_synced(
        batches in batches(),
        lost in proptest::collection::vec(any::<bool>(), 128),
        cut in proptest::option::of(0usize..8000),
    ) {
        let (files, dirs, ends) = directory(&batches);
        let synced = ends.len().checked_sub(2).map_or(16, |i| ends[i]) as usize;
        let end = *ends.last().unwrap() as usize;
        edit(&files, LOG, |bytes| {
            for (i, _) in lost.iter().enumerate().filter(|(_, lost)| **lost) {
                let sector = i * 512..(i + 1) * 512;
                let hit = sector.start.max(synced)..sector.end.min(end);
                if hit.start < hit.end {
                    bytes[hit].fill(0);
                }
            }
            if let Some(cut) = cut {
                bytes.truncate(synced + cut);
            }
        });
        let all: Vec<Vec<u8>> = batches.concat();
        let durable = batches[..batches.len() - 1].concat().len();
        let (model, _) = start(&files, &dirs).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(model.payloads.len() >= durable);
        prop_assert_eq!(&model.payloads[..], &all[..model.payloads.len()]);
        // Java would find a clean end, too, and so does the next start.
        let (again, recovered) = start(&files, &dirs).unwrap();
        prop_assert_eq!(again.payloads, model.payloads);
        prop_assert_eq!(recovered.torn_tail, None);
    }

    /// A flipped bit drops nothing: the start is refused, or the bit belongs to the last entry or
    /// to nothing.
    #[test]
    fn a_flipped_bit_never_drops_an_entry_in_front_of_others(
        batches in batches(),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let (files, dirs, ends) = directory(&batches);
        let end = *ends.last().unwrap() as usize;
        let at = at.index(end);
        edit(&files, LOG, |bytes| bytes[at] ^= 1 << bit);
        let all = batches.concat();
        let last_starts = end - 13 - all.last().unwrap().len();
        match start(&files, &dirs) {
            Ok((model, _)) if at < 16 => {
                prop_assert!(at >= 4);
                prop_assert_eq!(model.payloads, all);
            }
            Ok((model, _)) => {
                prop_assert!(at >= last_starts, "byte {} of {} was not missed", at, end);
                prop_assert_eq!(&model.payloads[..], &all[..all.len() - 1]);
            }
            Err(StoreError::CorruptLog(damage)) => prop_assert!(damage.offset <= at as u64),
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(
        bytes in proptest::collection::vec(prop_oneof![3 => Just(0u8), 1 => any::<u8>()], 0..2000),
        whole_header in any::<bool>(),
    ) {
        let (files, dirs) = load("standalone-all");
        let head = if whole_header { header().to_vec() } else { Vec::new() };
        files.put(LOG, [head, bytes].concat());
        if let Ok((model, _)) = start(&files, &dirs) {
            prop_assert!(model.zxids.is_empty());
        }
    }
}
