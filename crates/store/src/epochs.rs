//! The epoch files of a quorum member: decimal text, replaced as a whole.

use crate::error::{Context, StoreError};
use crate::files::{Files, read_small};
use std::path::{Path, PathBuf};

/// Name of the file with the epoch of the leader that was last followed.
pub const CURRENT: &str = "currentEpoch";
/// Name of the file with the highest epoch that was promised to anyone.
pub const ACCEPTED: &str = "acceptedEpoch";

/// Longest file that can be an epoch: 20 digits, a sign, a line end, and some room.
const LIMIT: usize = 64;

/// What to do about files that cannot be.
const HELP: &str = "restore all files of this server from one backup, or empty the directory but for \
                    myid and let the server fetch everything from the leader";

/// The two epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epochs {
    /// See [`CURRENT`].
    pub current: i64,
    /// See [`ACCEPTED`].
    pub accepted: i64,
}

/// Reads one epoch file, `None` if it does not exist. Only the first line counts, and it must be a
/// number without blanks, as for Java.
pub fn read(files: &dyn Files, dir: &Path, name: &str) -> Result<Option<i64>, StoreError> {
    let path = dir.join(name);
    if files.stat(&path).on("look at", &path)?.is_none() {
        return Ok(None);
    }
    let bytes = read_small(files, &path, LIMIT).on("read", &path)?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.split(['\n', '\r']).next().unwrap_or("");
    match line.parse::<i64>() {
        Ok(epoch) if bytes.len() < LIMIT => Ok(Some(epoch)),
        _ => Err(wrong(
            &path,
            format!("holds {line:?}, expected an epoch as a decimal number; {HELP}"),
        )),
    }
}

/// Writes one epoch file; durable when it returns. A crash leaves the old or the new value, and
/// possibly `NAME.tmp` with the new one.
pub fn write(files: &dyn Files, dir: &Path, name: &str, epoch: i64) -> Result<(), StoreError> {
    let path = dir.join(name);
    let draft = draft(&path);
    let mut file = files.create(&draft).on("create", &draft)?;
    file.write_at(epoch.to_string().as_bytes(), 0)
        .on("write to", &draft)?;
    file.sync_data().on("sync", &draft)?;
    drop(file);
    files.rename(&draft, &path).on("rename", &draft)?;
    files.sync_dir(dir).on("sync directory", dir)
}

/// Reads both files at the start of a quorum member whose state ends at `last_zxid`, creates
/// missing ones, and checks them against it.
pub fn load(files: &dyn Files, dir: &Path, last_zxid: i64) -> Result<Epochs, StoreError> {
    let of_zxid = zooid_proto::zxid::epoch(last_zxid);
    let mut current = or_create(files, dir, CURRENT, of_zxid)?;
    if of_zxid > current {
        // The crash came between the snapshot of the new epoch and the rename (ZOOKEEPER-2354).
        match read(files, dir, "currentEpoch.tmp")? {
            Some(intended) => {
                write(files, dir, CURRENT, intended)?;
                current = intended;
            }
            None => {
                return Err(wrong(
                    &dir.join(CURRENT),
                    format!(
                        "says epoch {current}, but the last transaction {last_zxid:#x} is of \
                         epoch {of_zxid}: the files do not belong together; {HELP}"
                    ),
                ));
            }
        }
    }
    let accepted = or_create(files, dir, ACCEPTED, of_zxid)?;
    if accepted < current {
        return Err(wrong(
            &dir.join(ACCEPTED),
            format!(
                "says epoch {accepted}, which is less than the current epoch {current}; {HELP}"
            ),
        ));
    }
    Ok(Epochs { current, accepted })
}

fn or_create(files: &dyn Files, dir: &Path, name: &str, epoch: i64) -> Result<i64, StoreError> {
    match read(files, dir, name)? {
        Some(epoch) => Ok(epoch),
        None => {
            write(files, dir, name, epoch)?;
            Ok(epoch)
        }
    }
}

fn draft(path: &Path) -> PathBuf {
    path.with_extension("tmp")
}

fn wrong(path: &Path, what: String) -> StoreError {
    StoreError::Epoch {
        path: path.to_path_buf(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::MemFiles;

    #[test]
    fn section_13_files_are_made_read_and_checked() {
        let files = MemFiles::default();
        let dir = Path::new("/v");
        files.create_dirs(dir).unwrap();
        let both = |current, accepted| Epochs { current, accepted };
        assert_eq!(load(&files, dir, 0x2_0000_0007).unwrap(), both(2, 2));
        assert_eq!(files.get("/v/currentEpoch").unwrap(), b"2");
        write(&files, dir, ACCEPTED, 5).unwrap();
        assert_eq!(load(&files, dir, 0x2_0000_0007).unwrap(), both(2, 5));
        write(&files, dir, ACCEPTED, 1).unwrap();
        assert!(
            load(&files, dir, 0)
                .unwrap_err()
                .to_string()
                .contains("acceptedEpoch")
        );
    }

    #[test]
    fn zookeeper_2354_a_current_epoch_behind_the_zxid_needs_its_draft() {
        let files = MemFiles::default();
        let dir = Path::new("/v");
        files.put("/v/currentEpoch", "1");
        files.put("/v/acceptedEpoch", "2");
        let refused = load(&files, dir, 0x2_0000_0001).unwrap_err().to_string();
        assert!(refused.contains("currentEpoch: says epoch 1"), "{refused}");
        files.put("/v/currentEpoch.tmp", "2");
        assert_eq!(load(&files, dir, 0x2_0000_0001).unwrap().current, 2);
        assert_eq!(files.get("/v/currentEpoch").unwrap(), b"2");
    }

    #[test]
    fn only_a_plain_number_is_an_epoch() {
        let files = MemFiles::default();
        for (text, epoch) in [
            ("7", Some(7)),
            ("7\n8", Some(7)),
            ("7\r\n", Some(7)),
            (" 7", None),
            ("7 ", None),
            ("", None),
            ("0x7", None),
            ("99999999999999999999", None),
        ] {
            files.put("/v/currentEpoch", text);
            assert_eq!(
                read(&files, Path::new("/v"), CURRENT).ok(),
                epoch.map(Some),
                "{text:?}"
            );
        }
        assert_eq!(read(&files, Path::new("/v"), ACCEPTED).unwrap(), None);
    }
}
