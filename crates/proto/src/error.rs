//! Error codes of the wire (`KeeperException.Code` in Java).

macro_rules! codes {
    ($($(#[$meta:meta])* $name:ident = $code:literal),* $(,)?) => {
        /// What a reply says went wrong. A value that travels, not a Rust error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum ErrorCode { $($(#[$meta])* $name = $code),* }

        impl ErrorCode {
            /// The code that a number stands for. Java clients fail on any number not listed here.
            pub fn from_i32(code: i32) -> Option<ErrorCode> {
                match code { $($code => Some(ErrorCode::$name),)* _ => None }
            }

            /// The name as the code spells it.
            pub fn name(self) -> &'static str {
                match self { $(ErrorCode::$name => stringify!($name)),* }
            }
        }
    };
}

codes! {
    /// No error.
    Ok = 0,
    /// Marks the range of server errors.
    SystemError = -1,
    /// In a failed multi: this operation came behind the one that failed.
    RuntimeInconsistency = -2,
    /// The data do not fit together.
    DataInconsistency = -3,
    /// The connection broke (made by clients).
    ConnectionLoss = -4,
    /// A request could not be decoded.
    MarshallingError = -5,
    /// The operation is unknown or off.
    Unimplemented = -6,
    /// The operation took too long (made by clients).
    OperationTimeout = -7,
    /// An argument is out of its range.
    BadArguments = -8,
    /// Unknown session on a standalone server.
    UnknownSession = -12,
    /// The new members do not answer.
    NewConfigNoQuorum = -13,
    /// Another change of members is under way.
    ReconfigInProgress = -14,
    /// Marks the range of API errors.
    ApiError = -100,
    /// The node does not exist.
    NoNode = -101,
    /// The ACL does not allow it.
    NoAuth = -102,
    /// The version is another.
    BadVersion = -103,
    /// Ephemeral nodes cannot have children.
    NoChildrenForEphemerals = -108,
    /// The node exists already.
    NodeExists = -110,
    /// The node has children.
    NotEmpty = -111,
    /// The session is over.
    SessionExpired = -112,
    /// A callback is missing (made by clients).
    InvalidCallback = -113,
    /// The ACL cannot be accepted.
    InvalidAcl = -114,
    /// Authentication failed.
    AuthFailed = -115,
    /// The session went to another server.
    SessionMoved = -118,
    /// The server is read-only.
    NotReadOnly = -119,
    /// A local session cannot own an ephemeral node.
    EphemeralOnLocalSession = -120,
    /// There is no such watch.
    NoWatcher = -121,
    /// The request took too long (made by clients).
    RequestTimeout = -122,
    /// Changing members is switched off.
    ReconfigDisabled = -123,
    /// The server asks for authentication first.
    SessionClosedRequireSaslAuth = -124,
    /// The quota of a subtree is used up.
    QuotaExceeded = -125,
    /// The request waited too long and was not executed.
    ThrottledOp = -127,
}

impl ErrorCode {
    /// The number of the wire.
    pub fn code(self) -> i32 {
        self as i32
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn numbers_and_names() {
        assert_eq!(ErrorCode::from_i32(-101), Some(ErrorCode::NoNode));
        assert_eq!(
            (ErrorCode::NoNode.code(), ErrorCode::NoNode.name()),
            (-101, "NoNode")
        );
        assert_eq!(ErrorCode::from_i32(-116), None);
    }
}
