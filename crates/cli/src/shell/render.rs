//! What the shell shows, in the words of zkCli.sh 3.9.5.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zooid_client::{Attempt, Error, ErrorCode, Loss, SessionState, Stat, WatchedEvent};
use zooid_proto::path::PathError;

/// The block that `-s` and `stat` print.
pub(crate) fn stat(stat: &Stat) -> String {
    format!(
        "cZxid = 0x{:x}\nctime = {}\nmZxid = 0x{:x}\nmtime = {}\npZxid = 0x{:x}\ncversion = {}\n\
         dataVersion = {}\naclVersion = {}\nephemeralOwner = 0x{:x}\ndataLength = {}\n\
         numChildren = {}\n",
        stat.czxid,
        time(stat.ctime, TimeZone::system()),
        stat.mzxid,
        time(stat.mtime, TimeZone::system()),
        stat.pzxid,
        stat.cversion,
        stat.version,
        stat.aversion,
        stat.ephemeral_owner,
        stat.data_length,
        stat.num_children,
    )
}

/// A time in ms since 1970 as `Date.toString` in Java writes it.
fn time(ms: i64, zone: TimeZone) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => time
            .to_zoned(zone)
            .strftime("%a %b %d %H:%M:%S %Z %Y")
            .to_string(),
        Err(_) => format!("{ms} ms since 1970"),
    }
}

/// Names as `[a, b]`.
pub(crate) fn list(mut names: Vec<String>) -> String {
    names.sort();
    format!("[{}]\n", names.join(", "))
}

/// An event as one line.
pub(crate) fn event(event: &WatchedEvent) -> String {
    format!(
        "WatchedEvent state:SyncConnected type:{} path:{} zxid: {}",
        event.kind, event.path, event.zxid
    )
}

/// A change of the session as one line.
pub(crate) fn session_event(state: SessionState) -> String {
    let name = match state {
        SessionState::Disconnected => "Disconnected",
        SessionState::Connected => "SyncConnected",
        SessionState::ConnectedReadOnly => "ConnectedReadOnly",
        SessionState::Expired => "Expired",
        SessionState::AuthFailed => "AuthFailed",
        SessionState::Closed => "Closed",
    };
    format!("WatchedEvent state:{name} type:None path:null zxid: -1")
}

/// The state as the prompt shows it.
pub(crate) fn prompt_state(state: SessionState) -> &'static str {
    match state {
        SessionState::Disconnected => "CONNECTING",
        SessionState::Connected => "CONNECTED",
        SessionState::ConnectedReadOnly => "CONNECTEDREADONLY",
        SessionState::AuthFailed => "AUTH_FAILED",
        SessionState::Expired | SessionState::Closed => "CLOSED",
    }
}

/// Why a command failed, in a sentence. The spaces before some colons are those of zkCli.sh.
pub(crate) fn error(error: &Error) -> String {
    match error {
        Error::Refused { path, .. } | Error::Multi { path, .. } => refusal(error, path),
        Error::Lost { path, loss, .. } => match loss {
            Loss::Connection => format!(
                "KeeperErrorCode = ConnectionLoss for {path}: the connection broke before the \
                 answer came, the server may have done it or not"
            ),
            Loss::Expired => format!("KeeperErrorCode = Session expired for {path}"),
            Loss::AuthFailed => format!("KeeperErrorCode = AuthFailed for {path}"),
            Loss::Closed => "Not connected".to_owned(),
        },
        Error::Path { path, source, .. } => path_error(path, *source),
        Error::Connect { attempts } => {
            let each: Vec<String> = attempts.iter().map(attempt).collect();
            each.join("\n")
        }
        other => other.to_string(),
    }
}

fn refusal(error: &Error, path: &str) -> String {
    match error.code() {
        Some(ErrorCode::NoNode) => format!("Node does not exist: {path}"),
        Some(ErrorCode::NodeExists) => format!("Node already exists: {path}"),
        Some(ErrorCode::NotEmpty) => format!("Node not empty: {path}"),
        Some(ErrorCode::NoChildrenForEphemerals) => {
            format!("Ephemerals cannot have children: {path}")
        }
        Some(ErrorCode::NoAuth) => format!("Insufficient permission : {path}"),
        Some(ErrorCode::InvalidAcl) => format!("Acl is not valid : {path}"),
        Some(ErrorCode::BadArguments) => format!("Arguments are not valid : {path}"),
        Some(ErrorCode::BadVersion) => format!("version No is not valid : {path}"),
        Some(ErrorCode::NotReadOnly) => format!("Not a read-only call: {path}"),
        Some(ErrorCode::QuotaExceeded) => format!("Quota has exceeded : {path}"),
        Some(ErrorCode::ReconfigInProgress) => "Another reconfiguration is in progress -- \
             concurrent reconfigs not supported (yet)"
            .to_owned(),
        Some(ErrorCode::NewConfigNoQuorum) => "No quorum of new config is connected and \
             up-to-date with the leader of last commmitted config - try invoking reconfiguration \
             after new servers are connected and synced"
            .to_owned(),
        Some(ErrorCode::ReconfigDisabled) => "KeeperErrorCode = Reconfig is disabled".to_owned(),
        Some(ErrorCode::NoWatcher) => format!("KeeperErrorCode = No such watcher for {path}"),
        Some(code) if path.is_empty() => format!("KeeperErrorCode = {}", code.name()),
        Some(code) => format!("KeeperErrorCode = {} for {path}", code.name()),
        None => error.to_string(),
    }
}

fn path_error(path: &str, error: PathError) -> String {
    match error {
        PathError::Empty => "Path length must be > 0".to_owned(),
        PathError::NoLeadingSlash => format!("Path must start with / character: {path}"),
        PathError::TrailingSlash => format!("Path must not end with / character: {path}"),
        other => format!("Invalid path {path}: {other}"),
    }
}

/// One server that did not take the session, and what to check.
fn attempt(attempt: &Attempt) -> String {
    let (address, reason) = (&attempt.address, &attempt.reason);
    let check = if attempt.refused {
        "Nothing listens there. Check that the server is running (`zooid serve` starts one) and \
         that the port is its clientPort; -server HOST:PORT names another server."
    } else if reason.contains("lookup") || reason.contains("name or service") {
        "The name of the host is not known here. Check its spelling, or give its IP address."
    } else if reason.contains("closed") || reason.contains("reset") {
        "Something listens there but does not take the session. Check in the server's log whether \
         it is serving, whether the port is its clientPort and no TLS port, and whether this host \
         has too many connections."
    } else if reason.contains("no answer") || reason.contains("timed out") {
        "Check the address, and whether a firewall is in between."
    } else {
        "Check the address and the network."
    };
    format!("Cannot connect to {address}: {reason}.\n{check}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_in_java() {
        assert_eq!(time(0, TimeZone::UTC), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(
            time(1_795_238_453_999, TimeZone::UTC),
            "Sat Nov 21 05:20:53 UTC 2026"
        );
        assert_eq!(
            time(i64::MAX, TimeZone::UTC),
            format!("{} ms since 1970", i64::MAX)
        );
    }

    #[test]
    fn a_refused_connection_names_the_server_and_what_to_check() {
        let text = error(&Error::Connect {
            attempts: vec![Attempt {
                address: "h:1".into(),
                reason: "connection refused".into(),
                refused: true,
            }],
        });
        assert!(text.starts_with("Cannot connect to h:1: connection refused.\n"));
        assert!(text.contains("zooid serve"), "{text}");
    }
}
