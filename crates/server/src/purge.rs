//! Old snapshots and logs are removed from time to time (`DatadirCleanupManager` in Java).

use crate::snapshots::Snapshots;
use crate::state::CoreInput;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use zooid_store::layout::NamedFile;
use zooid_store::{DataDirs, Files, purge};

/// Purges now and every `interval` from then on. Ends with the runtime. A member of an ensemble is
/// told where its log begins from then on.
pub async fn run(
    files: Arc<dyn Files>,
    dirs: DataDirs,
    snapshots: Arc<Snapshots>,
    retain: usize,
    interval: Duration,
    member: Option<UnboundedSender<CoreInput>>,
) {
    let mut ticks = tokio::time::interval(interval);
    loop {
        ticks.tick().await;
        let snapshots = snapshots.clone();
        let known = move |file: &NamedFile| snapshots.is_known_good(file);
        once(&files, &dirs, retain, known).await;
        if let Some(member) = &member
            && let Ok(logs) = dirs.logs(&*files)
            && let Some(first) = logs.iter().map(|log| log.zxid).min()
        {
            let _ = member.send(CoreInput::LogStartsAt(first));
        }
    }
}

/// Purges now. Snapshots that are not `known` to be good are read.
pub async fn once(
    files: &Arc<dyn Files>,
    dirs: &DataDirs,
    retain: usize,
    known: impl Fn(&NamedFile) -> bool + Send + 'static,
) {
    let (files, dirs) = (files.clone(), dirs.clone());
    let done = tokio::task::spawn_blocking(move || {
        purge::purge(&*files, &dirs, retain, |file| {
            known(file) || purge::verify(&*files, file)
        })
    })
    .await;
    match done {
        Ok(Ok(purged)) if purged.removed.is_empty() => {}
        Ok(Ok(purged)) => tracing::info!(
            removed = purged.removed.len(),
            retain,
            "old snapshots and logs purged"
        ),
        Ok(Err(error)) => tracing::warn!(%error, "old files could not be purged"),
        Err(error) => tracing::warn!(%error, "the purge ended early"),
    }
}
