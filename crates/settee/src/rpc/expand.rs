//! What `#[service]` expands to calls these. Not an interface: they may change with any version.

use std::cell::Cell;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use settee_core::error::{Code, ErrorKind, codes};
use settee_core::{Certainty, Error};
use settee_wire::body::{BodyCodec, BodyLimits};

use super::reply::{Fault, Refusal, Reply};
use super::server::Incoming;
use super::service::{Answer, Encoding};
use super::stream::StreamSource;
use super::updates::Updates;

/// A boxed future.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The answer to a method index that the descriptor does not have: a fault of the caller in the same process.
pub fn no_such_method(incoming: Incoming) -> BoxFuture<'static, Answer> {
    let message = format!("serve {}: method index {} is not known", incoming.service.name, incoming.method);
    Box::pin(std::future::ready(Answer::Failed(Error::new(ErrorKind::NotFound, codes::NO_METHOD, message))))
}

/// Encodes a value.
pub fn encode<T: Serialize + ?Sized>(encoding: Encoding, value: &T) -> Result<Bytes, Error> {
    // Taken, not borrowed: writing the value may come back here.
    let mut scratch = SCRATCH.take();
    let written = codec(encoding).encode(value, &mut scratch);
    let body = Bytes::copy_from_slice(&scratch);
    scratch.clear();
    if scratch.capacity() <= SCRATCH_BYTES {
        SCRATCH.set(scratch);
    }
    match written {
        Ok(()) => Ok(body),
        Err(error) => Err(Error::new(ErrorKind::Internal, codes::BAD_REPLY, error.to_string())),
    }
}

/// What a thread keeps for the next value: serialisers write piece by piece, and a buffer that grows each time costs more than a
/// copy of small values. Larger ones are let go.
const SCRATCH_BYTES: usize = 64 << 10;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Decodes what a caller sent.
pub fn decode<T: DeserializeOwned>(encoding: Encoding, bytes: &[u8]) -> Result<T, Error> {
    codec(encoding)
        .decode(bytes, &BodyLimits::default())
        .map_err(|error| Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, error.to_string()))
}

/// Decodes what a server answered: the call was made, whatever its answer is worth.
pub fn decode_reply<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    BodyCodec::MessagePack.decode(bytes, &BodyLimits::default()).map_err(|error| {
        Error::new(ErrorKind::Internal, codes::BAD_REPLY, format!("decode the answer: {error}")).with_certainty(Certainty::Done)
    })
}

/// Decodes the arguments of a call; the error says which method they were for.
pub fn arguments<T: DeserializeOwned>(incoming: &Incoming) -> Result<T, Answer> {
    decode(incoming.encoding, &incoming.body).map_err(|error| {
        let message = format!("read the arguments of {}: {}", incoming.name(), error.message());
        Answer::Failed(Error::new(error.kind(), error.code().clone(), message))
    })
}

/// Encodes what a method returned.
pub fn answer<T: Serialize, R: Refusal>(encoding: Encoding, reply: Reply<T, R>) -> Answer {
    match reply {
        Ok(value) => encode(encoding, &value).map_or_else(failed_after, Answer::Value),
        Err(fault) => fault_answer(encoding, fault),
    }
}

/// Turns the updates that a method returned into a stream.
pub fn answer_stream<T: Serialize + Send + 'static, R: Refusal>(encoding: Encoding, reply: Reply<Updates<T>, R>) -> Answer {
    match (reply, encoding) {
        (Ok(updates), Encoding::MessagePack) => Answer::Stream(StreamSource::new(updates)),
        (Ok(_), Encoding::Json) => {
            let message = "read a stream over HTTP/1 and JSON: only settee peers can, use a generated client";
            Answer::Failed(Error::new(ErrorKind::Unsupported, codes::BAD_REQUEST, message))
        }
        (Err(fault), _) => fault_answer(encoding, fault),
    }
}

fn fault_answer<R: Refusal>(encoding: Encoding, fault: Fault<R>) -> Answer {
    match fault {
        Fault::Refused(refusal) => match encode(encoding, &refusal) {
            Ok(body) => Answer::Refused { code: refusal.code().to_owned(), body },
            Err(error) => Answer::Failed(error),
        },
        Fault::Failed(error) => Answer::Failed(error.of_whole()),
    }
}

/// What an implementation in the same process replied, as its caller is to see it: like over the network, the failure of a step
/// of the handler says nothing about the handler, and the failure of the handler is one of a step to its caller.
pub fn replied<T, R>(reply: Reply<T, R>) -> Reply<T, R> {
    reply.map_err(|fault| fault.map_failure(|error| error.of_whole().of_step()))
}

/// The method ran; only its answer cannot be written.
fn failed_after(error: Error) -> Answer {
    Answer::Failed(error.with_certainty(Certainty::Done))
}

fn codec(encoding: Encoding) -> BodyCodec {
    match encoding {
        Encoding::MessagePack => BodyCodec::MessagePack,
        Encoding::Json => BodyCodec::Json,
    }
}

/// An [`Error`] as it crosses the wire.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    kind: ErrorKind,
    certainty: Certainty,
    code: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            certainty: error.certainty(),
            code: error.code().as_str().to_owned(),
            message: error.message().to_owned(),
            retry_after_ms: error.retry_after().map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// Bytes of a failure's message that cross the wire: enough for any explanation, and never too much for a frame.
const MESSAGE_BYTES: usize = 16 << 10;

/// Bytes of a failure's code that cross the wire: ours have seven.
const CODE_BYTES: usize = 128;

impl Failure {
    /// The same failure, its texts cut to what fits every frame.
    pub(crate) fn shortened(mut self) -> Self {
        self.message.truncate(self.message.floor_char_boundary(MESSAGE_BYTES));
        self.code.truncate(self.code.floor_char_boundary(CODE_BYTES));
        self
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let error = Self::new(failure.kind, Code::received(failure.code), failure.message).with_certainty(failure.certainty);
        match failure.retry_after_ms {
            Some(wait) => error.with_retry_after(std::time::Duration::from_millis(wait)),
            None => error,
        }
    }
}
