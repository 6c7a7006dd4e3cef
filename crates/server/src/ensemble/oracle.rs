//! The file that may let one of two voters go on alone (`oraclePath`).

use crate::state::CoreInput;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;

/// How often it is read. Java reads it whenever it has to decide, a leader once a tick; the file is a
/// byte, and what it said lately is what it says.
const READ_EVERY: Duration = Duration::from_millis(100);

/// Tells the core what the oracle says whenever that changes, until the core has ended.
pub async fn watch(path: PathBuf, core: UnboundedSender<CoreInput>) {
    let mut said = None;
    loop {
        let file = path.clone();
        let Ok(answer) = tokio::task::spawn_blocking(move || ask(&file)).await else {
            return;
        };
        let answer = answer.map_err(|error| error.kind());
        if said.as_ref() != Some(&answer) {
            let alone = matches!(answer, Ok(true));
            match &answer {
                Ok(_) => tracing::info!(path = %path.display(), alone, "the oracle has spoken"),
                Err(error) => tracing::warn!(
                    path = %path.display(),
                    %error,
                    "the oracle cannot be read: this server does not decide alone"
                ),
            }
            if core.send(CoreInput::Oracle { alone }).is_err() {
                return;
            }
            said = Some(answer);
        }
        if core.is_closed() {
            return;
        }
        tokio::time::sleep(READ_EVERY).await;
    }
}

/// Whether the first character is 1, as `QuorumOracleMaj.askOracle` reads it.
fn ask(path: &Path) -> io::Result<bool> {
    let mut first = [0];
    let read = File::open(path)?.read(&mut first)?;
    Ok(read == 1 && first == *b"1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_character_decides() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("oracle");
        assert_eq!(ask(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        for (text, alone) in [
            ("1", true),
            ("1\n", true),
            ("10", true),
            ("0", false),
            ("", false),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(ask(&path).unwrap(), alone, "{text:?}");
        }
    }
}
