//! File descriptors: as many as the system grants, and never all of them for clients.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that clients never get. Without one the next log or snapshot could not be created,
/// and the server would have to stop.
const SPARE: u64 = 64;

/// Raises the soft limit to the hard one, as a Java virtual machine does (`MaxFDLimit`): service
/// managers start programs with 1024.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}

/// How many connections there may be at once.
pub fn for_clients() -> u64 {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    limit.saturating_sub(SPARE).max(limit / 2)
}
