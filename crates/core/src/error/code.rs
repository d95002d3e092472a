//! Stable error codes. Each has a page `docs/operations/errors/CODE.md`; `cargo xtask check` holds the two together.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A stable error code such as `TXN0001`: a component and a number. It never changes its meaning.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A code received from a peer, which may be newer than this version and so unknown here.
    #[must_use]
    pub fn received(code: String) -> Self {
        Self(Cow::Owned(code))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        /// Every code of this version, by name.
        pub mod codes {
            use super::{Code, Cow};
            $($(#[$doc])* pub const $name: Code = Code(Cow::Borrowed($text));)+

            /// Every code of this version, for the pages and their check.
            pub const ALL: &[Code] = &[$($name),+];
        }
    };
}

codes! {
    /// A fault in settee or in the service's own code.
    INTERNAL = "SET0001";

    /// The request could not be decoded.
    BAD_REQUEST = "RPC0001";
    /// The deadline passed before an answer came.
    DEADLINE = "RPC0002";
    /// No instance of the service is known.
    NO_INSTANCE = "RPC0003";
    /// The connection broke while the call was under way.
    CONNECTION_LOST = "RPC0004";
    /// No connection could be opened.
    CONNECT_FAILED = "RPC0005";
    /// The service is not served here.
    NO_SERVICE = "RPC0006";
    /// The service has no such method.
    NO_METHOD = "RPC0007";
    /// The answer could not be decoded.
    BAD_REPLY = "RPC0008";
    /// A frame or a value is over its limit.
    TOO_LARGE = "RPC0009";
    /// The handler panicked.
    PANICKED = "RPC0010";
    /// The process is draining.
    DRAINING = "RPC0011";
    /// The consumer of a stream did not keep up, or the stream broke.
    STREAM_BROKEN = "RPC0012";
    /// Too many calls of one connection are unanswered.
    TOO_MANY_CALLS = "RPC0013";

    /// The rate of a flow rule is used up.
    RATE_LIMITED = "FLW0001";
    /// The concurrency of a flow rule is used up.
    CONCURRENCY_LIMITED = "FLW0002";
    /// A breaker is open.
    BREAKER_OPEN = "FLW0003";
    /// A flow rule cannot be compiled.
    BAD_RULE = "FLW0004";

    /// The owner of the shard has changed.
    NOT_OWNER = "SHD0001";
    /// The coordinator could not learn whether its write happened in time.
    WRITE_UNKNOWN = "SHD0002";

    /// The transaction is not known.
    NO_TRANSACTION = "TXN0001";
    /// The transaction was decided otherwise.
    DECIDED_OTHERWISE = "TXN0002";
    /// A branch is unknown, so the transaction cannot commit.
    BRANCH_UNKNOWN = "TXN0003";
    /// The transaction is parked and waits for an operator.
    PARKED = "TXN0004";
    /// Phase two contradicts the fence.
    FENCE_VIOLATION = "TXN0005";
    /// The try came after the cancel.
    SUPPRESSED = "TXN0006";
    /// The transaction has too many branches or too large a context.
    TRANSACTION_TOO_LARGE = "TXN0007";

    /// The topic does not exist.
    NO_TOPIC = "MSG0001";
    /// The message is too large.
    MESSAGE_TOO_LARGE = "MSG0002";
    /// The producer has been replaced by a newer one of the same name.
    PRODUCER_FENCED = "MSG0003";

    /// The job is not known.
    NO_JOB = "JOB0001";
    /// The schedule cannot be read.
    BAD_SCHEDULE = "JOB0002";
    /// The run carries an old fencing token.
    RUN_FENCED = "JOB0003";

    /// The publication is not valid.
    BAD_PUBLICATION = "REG0001";
    /// The registry holds as much as it may.
    REGISTRY_FULL = "REG0002";

    /// A configuration key is unknown.
    UNKNOWN_KEY = "APP0001";
    /// A configuration value cannot be read.
    BAD_VALUE = "APP0002";
    /// The address cannot be listened on.
    LISTEN_FAILED = "APP0003";
    /// A component did not start.
    START_FAILED = "APP0004";

    /// The storage has no room.
    STORE_FULL = "STO0001";
    /// Stored data is damaged.
    STORE_DAMAGED = "STO0002";
    /// The storage was written by a newer version.
    STORE_NEWER = "STO0003";
    /// Another process uses the folder.
    STORE_LOCKED = "STO0004";
    /// The folder cannot be written.
    STORE_READ_ONLY = "STO0005";
    /// A sync failed, so the store stopped.
    STORE_POISONED = "STO0006";
    /// The requested history has been compacted away.
    STORE_COMPACTED = "STO0007";
    /// The store cannot be reached or failed otherwise.
    STORE_UNAVAILABLE = "STO0008";
    /// The request to the store is over its limits.
    STORE_LIMIT = "STO0009";

    /// The database failed.
    DATABASE_FAILED = "SQL0001";
    /// The participant's database lacks settee's tables.
    TABLES_MISSING = "SQL0002";
}
