//! The status of a response: whether Bolt itself delivered the call.

use std::fmt;

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)+) => {
        /// Whether Bolt delivered the call; not whether the call succeeded.
        ///
        /// SOFARPC peers report a service's own exceptions, and most of the framework's, under [`Status::Success`], inside the
        /// content. Java closes a connection on a status it does not know, so there is no way to write another number.
        ///
        /// ```
        /// use settee_wire::bolt::Status;
        /// assert_eq!(Status::from_code(0x12), Some(Status::ServerDeserializationFailed));
        /// assert_eq!(Status::from_code(0x0a), None); // the codes jump from 9 to 0x10
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Status {
            $($(#[$doc])* $name,)+
        }

        impl Status {
            /// Every status, by code.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> i16 {
                match self { $(Self::$name => $code,)+ }
            }

            /// The status with this number, if there is one.
            #[must_use]
            pub const fn from_code(code: i16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)+ _ => None }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

statuses! {
    /// The call was delivered; its result, good or bad, is the content.
    Success = 0, "success";
    /// Unused in practice.
    Error = 1, "error";
    /// The server failed outside the service: no processor, or an unexpected exception. Node answers every error so.
    ServerException = 2, "server exception";
    /// The handler raised (Python peers).
    Unknown = 3, "unknown";
    /// The server refused the call because its workers are busy: certainly not executed. Class, header, content are empty.
    ServerBusy = 4, "server busy";
    /// Unused in practice.
    CommunicationError = 5, "communication error";
    /// No such service or method (Python peers; Java answers [`Status::ServerException`]).
    NoProcessor = 6, "no processor";
    /// The call took longer than its timeout (Python peers; Java and Node stay silent instead).
    Timeout = 7, "timeout";
    /// The request named no service, method or class (Python peers).
    ClientSendError = 8, "client send error";
    /// The frame could not be read (Python peers).
    CodecException = 9, "codec exception";
    /// The connection is closing (Python peers).
    ConnectionClosed = 0x10, "connection closed";
    /// The service ran, but its response could not be serialised.
    ServerSerializationFailed = 0x11, "server serialization failed";
    /// The request's class, header or content could not be read: certainly not executed.
    ServerDeserializationFailed = 0x12, "server deserialization failed";
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_survives_its_code() {
        for code in i16::MIN..=i16::MAX {
            if let Some(status) = Status::from_code(code) {
                assert_eq!(status.code(), code);
            }
        }
        let known = Status::ALL.iter().map(|status| Status::from_code(status.code()));
        assert!(known.eq(Status::ALL.iter().map(|status| Some(*status))));
    }
}
