//! The same on a real file system.

use crate::model::{Model, fixtures_dir, payload};
use std::path::Path;
use std::sync::Arc;
use zooid_proto::records::StatPersisted;
use zooid_store::log::{LogBatch, LogOptions, LogWriter};
use zooid_store::recover::{RecoverOptions, recover};
use zooid_store::snapshot::{Compression, SnapshotDigest, SnapshotNode, SnapshotWriter};
use zooid_store::{DataDirs, OsFiles, StoreError};

#[test]
fn a_directory_of_java_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let dirs = DataDirs::new(&data, None);
    std::fs::create_dir_all(dirs.log_dir()).unwrap();
    for name in ["log.1", "snapshot.0"] {
        let from = fixtures_dir()
            .join("torn-tail-padded/data/version-2")
            .join(name);
        std::fs::copy(from, dirs.log_dir().join(name)).unwrap();
    }
    let held = dirs.open(&OsFiles, false).unwrap();
    match dirs.open(&OsFiles, false) {
        Err(error @ StoreError::Locked { .. }) => {
            let pid = format!("process {}", std::process::id());
            assert!(error.to_string().contains(&pid), "{error}");
        }
        other => panic!("{other:?}"),
    }
    let start = || {
        let mut model = Model::default();
        let recovered = recover(&OsFiles, &dirs, &RecoverOptions::default(), &mut model).unwrap();
        recovered.make_good(&OsFiles, &dirs).unwrap();
        (model, recovered)
    };
    let (_, recovered) = start();
    assert_eq!(recovered.last_zxid, 0x37);
    assert_eq!(recovered.torn_tail.unwrap().offset, 6527);

    let mut log = LogWriter::new(
        Arc::new(OsFiles),
        dirs.log_dir(),
        LogOptions::default(),
        Some(0x37),
    );
    for first in [0x38, 0x40, 0x48] {
        let mut batch = LogBatch::default();
        for zxid in first..first + 8 {
            batch.push(&payload(zxid, 200)).unwrap();
        }
        log.write(&batch).unwrap();
        log.sync().unwrap();
    }
    let file = log.current_file().unwrap();
    assert_eq!(file, dirs.log_dir().join("log.38"));
    let meta = std::fs::metadata(file).unwrap();
    assert_eq!(meta.len(), 67_108_880);
    #[cfg(unix)]
    assert!(
        std::os::unix::fs::MetadataExt::blocks(&meta) < 1000,
        "not sparse"
    );
    let (model, recovered) = start();
    assert_eq!((model.zxids.len(), recovered.last_zxid), (0x4f, 0x4f));

    let files = Arc::new(OsFiles);
    let (none, snappy) = ([].into_iter(), Compression::Snappy);
    let snap_dir = dirs.snap_dir();
    let mut writer =
        SnapshotWriter::create(files, &snap_dir, 0x44, snappy, none, [].into_iter()).unwrap();
    let stat = StatPersisted::default();
    for path in ["", "/a"] {
        writer
            .node(&SnapshotNode {
                path: path.into(),
                data: None,
                acl_id: -1,
                stat,
            })
            .unwrap();
    }
    let digest = SnapshotDigest {
        zxid: 0x44,
        version: 2,
        value: 0,
    };
    let written = writer.finish(Some(digest), Some(0x44)).unwrap();
    assert_eq!(written.path, snap_dir.join("snapshot.44.snappy"));
    assert_eq!(written.len, std::fs::metadata(&written.path).unwrap().len());
    let (model, recovered) = start();
    assert_eq!(
        (model.snapshot, model.zxids.len()),
        (Some(0x44), 0x4f - 0x44)
    );
    assert_eq!(recovered.last_zxid, 0x4f);
    drop(held);
    drop(dirs.open(&OsFiles, false).unwrap());
    assert!(dirs.remove_unfinished(&OsFiles).unwrap().is_empty());
    assert!(Path::new(&data).join("zooid.lock").exists());
}
