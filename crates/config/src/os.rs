//! The only place of the crate that touches the operating system: files are read, nothing else.

use std::io;
use std::path::Path;

/// No configuration file is nearly as long; what is longer is some other file, named by mistake.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?
        .take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let text = format!("longer than {MAX_FILE_BYTES} bytes: not a configuration file");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Ok(bytes)
}

/// Whether something is there.
pub(crate) fn exists(path: &Path) -> bool {
    path.exists()
}

/// The text of a regular file; `None` when there is none, as for `myid`.
pub(crate) fn read_if_file(path: &Path) -> Option<io::Result<Vec<u8>>> {
    path.is_file().then(|| read(path))
}

/// The variables of the process that are text.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
