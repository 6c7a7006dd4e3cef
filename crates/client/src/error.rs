//! What can go wrong, naming the operation, the path and the code.

use std::fmt;

use zooid_proto::path::PathError;
use zooid_proto::{ErrorCode, JuteError};

/// Why a request has no reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loss {
    /// The connection broke behind the request: it may have been executed or not.
    Connection,
    /// The session expired.
    Expired,
    /// A server refused the credentials of the session.
    AuthFailed,
    /// The session was closed by this client.
    Closed,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Loss::Connection => "ConnectionLoss",
            Loss::Expired => "SessionExpired",
            Loss::AuthFailed => "AuthFailed",
            Loss::Closed => "the session is closed",
        })
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server answered with an error code.
    #[error("{op} failed: {} for {path}", code_name(*.code))]
    Refused {
        /// The operation.
        op: &'static str,
        /// The path that it was about.
        path: String,
        /// The code of the wire; see [`Error::code`].
        code: i32,
    },
    /// No answer came.
    #[error("{op} failed: {loss} for {path}")]
    Lost {
        /// The operation.
        op: &'static str,
        /// The path that it was about.
        path: String,
        /// Why.
        loss: Loss,
    },
    /// One operation of a multi failed, so none was executed.
    #[error("multi failed: {} for {path} (operation {index})", code_name(*.code))]
    Multi {
        /// Position of the operation that failed, from 0.
        index: usize,
        /// The path that it was about.
        path: String,
        /// The code of the wire.
        code: i32,
        /// The codes of all operations: 0 before `index`, -2 behind it.
        codes: Vec<i32>,
    },
    /// The path cannot name a node; nothing was sent.
    #[error("{op} failed: the path {path:?} is not valid: {source}")]
    Path {
        /// The operation.
        op: &'static str,
        /// The path.
        path: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// The list of servers cannot be understood.
    #[error("server address {address:?}: {reason}")]
    Address {
        /// The list, or the part of it that is wrong.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// No server accepted the session.
    #[error("cannot connect to {}", list(.attempts))]
    Connect {
        /// The last failure of each server.
        attempts: Vec<Attempt>,
    },
    /// A reply could not be decoded.
    #[error("{op} {path}: the reply is not what it should be: {source}")]
    Reply {
        /// The operation.
        op: &'static str,
        /// The path that it was about.
        path: String,
        /// What is wrong with it.
        source: JuteError,
    },
    /// Events came faster than they were taken: the watch ended, events are missing.
    #[error("the watch on {path} ended: more than {limit} events were waiting")]
    WatchOverflow {
        /// The watched path.
        path: String,
        /// How many events may wait.
        limit: usize,
    },
}

/// A server that did not take the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// `host:port` as given.
    pub address: String,
    /// What happened, as the system or the server said it.
    pub reason: String,
    /// Whether nobody listens there.
    pub refused: bool,
}

impl Error {
    /// The code that the server sent, or the one that Java clients make for a lost request.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused { code, .. } | Error::Multi { code, .. } => ErrorCode::from_i32(*code),
            Error::Lost { loss, .. } => Some(match loss {
                Loss::Connection => ErrorCode::ConnectionLoss,
                Loss::Expired | Loss::Closed => ErrorCode::SessionExpired,
                Loss::AuthFailed => ErrorCode::AuthFailed,
            }),
            _ => None,
        }
    }

    /// Whether the server said that the node does not exist.
    pub fn is_no_node(&self) -> bool {
        self.code() == Some(ErrorCode::NoNode)
    }
}

fn code_name(code: i32) -> String {
    ErrorCode::from_i32(code).map_or_else(|| format!("error {code}"), |code| code.name().to_owned())
}

fn list(attempts: &[Attempt]) -> String {
    let each: Vec<String> = attempts
        .iter()
        .map(|attempt| format!("{} ({})", attempt.address, attempt.reason))
        .collect();
    each.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_operation_path_and_code() {
        let error = Error::Refused {
            op: "GetData",
            path: "/a".into(),
            code: -101,
        };
        assert_eq!(error.to_string(), "GetData failed: NoNode for /a");
        assert!(error.is_no_node());
        let unknown = Error::Refused {
            op: "GetData",
            path: "/a".into(),
            code: -999,
        };
        assert_eq!(unknown.to_string(), "GetData failed: error -999 for /a");
        assert_eq!(unknown.code(), None);
    }
}
