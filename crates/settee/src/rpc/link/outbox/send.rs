//! The frames that this end sends besides calls: answers, and the control of streams.

use std::sync::atomic::Ordering;

use bytes::{Bytes, BytesMut};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};
use settee_wire::bolt::{EncodeError, Head, Kind, Status, Timeout};

use super::{CLASS, LinkHandle, head};
use crate::rpc::link::pump::StreamsOut;
use crate::rpc::stream::{self, StreamSource};
use crate::rpc::{expand, header, service};

impl LinkHandle {
    /// Queues the answer to call `to`; one that cannot be written becomes a failure that says so.
    pub(in crate::rpc::link) fn answer(&self, to: Head, answer: service::Answer) {
        let Some(head) = to.answer(Status::Success) else { return unheard(&answer) };
        let written = match answer {
            service::Answer::Value(body) => self.owe(&head, &[], &body),
            service::Answer::Refused { code, body } => {
                self.owe(&head, &[(header::OUTCOME, header::REFUSED), (header::REFUSAL, &code)], &body)
            }
            service::Answer::Failed(error) => self.owe(&head, &[(header::OUTCOME, header::FAILED)], &failure(&error)),
            service::Answer::Stream(source) => self.answer_stream(&head, source),
        };
        if let Err(error) = written {
            let error = Error::new(ErrorKind::Internal, codes::TOO_LARGE, format!("write the answer: {error}"));
            let body = failure(&error.with_certainty(settee_core::Certainty::Done));
            let _a_failure_is_small = self.owe(&head, &[(header::OUTCOME, header::FAILED)], &body);
        }
    }

    fn answer_stream(&self, head: &Head, source: StreamSource) -> Result<(), EncodeError> {
        let refused = self.with_streams_out(|streams| streams.refusal(head.request_id));
        if let Some(error) = refused {
            return self.owe(head, &[(header::OUTCOME, header::FAILED)], &failure(&error));
        }
        let written = self.owe(head, &[(header::STREAM, "1")], &[]);
        self.with_streams_out(|streams| streams.opened(head.request_id, source));
        written
    }

    /// Tells the reader of every stream that this end stops, and opens none any more.
    pub(in crate::rpc::link) fn end_streams(&self) {
        let (ids, unread) = self.with_streams_out(StreamsOut::stop);
        drop(unread);
        for id in ids {
            let _a_failure_is_small = self.stream_frame(id, "end", None, &failure(&stream::stopped()));
        }
    }

    /// Queues a frame of the stream protocol.
    pub(in crate::rpc::link) fn stream_frame(
        &self,
        id: i32,
        action: &str,
        credit: Option<usize>,
        body: &[u8],
    ) -> Result<(), EncodeError> {
        let frame_id = self.0.outbox.lock().next_id();
        let (id, credit) = (id.to_string(), credit.map(|credit| credit.to_string()));
        let mut pairs = vec![(header::SERVICE, stream::SERVICE), (header::METHOD, action), (header::STREAM, &*id)];
        pairs.extend(credit.as_deref().map(|credit| (header::CREDIT, credit)));
        self.queue(&head(frame_id, Kind::Oneway { timeout: Timeout::NONE }), &pairs, body)
    }

    /// Queues a frame that the peer asked for. Only the driver does so, and it writes before it waits: nobody has to wake it.
    pub(in crate::rpc::link) fn owe(&self, head: &Head, pairs: &[(&str, &str)], body: &[u8]) -> Result<(), EncodeError> {
        let mut outbox = self.0.outbox.lock();
        if !outbox.closed {
            let place = outbox.queue.append(|out| self.write_frame(out, head, pairs, body))?;
            outbox.queue.is_owed(place);
            self.0.owed.store(outbox.queue.owed(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// Queues a frame of our own.
    pub(in crate::rpc::link) fn queue(&self, head: &Head, pairs: &[(&str, &str)], body: &[u8]) -> Result<(), EncodeError> {
        let mut outbox = self.0.outbox.lock();
        if !outbox.closed {
            outbox.queue.append(|out| self.write_frame(out, head, pairs, body))?;
        }
        drop(outbox);
        self.0.driver.wake();
        Ok(())
    }

    fn write_frame(&self, out: &mut BytesMut, head: &Head, pairs: &[(&str, &str)], body: &[u8]) -> Result<(), EncodeError> {
        let mut headers = self.0.encoder.begin(out, head, CLASS)?;
        for (key, value) in pairs {
            headers.pair(key, value)?;
        }
        let mut content = headers.content();
        content.append(body)?;
        content.finish().map(|_| ())
    }

    pub(crate) fn give_credit(&self, id: i32, credit: usize) {
        let _too_small_to_fail = self.stream_frame(id, "credit", Some(credit), &[]);
    }

    pub(crate) fn cancel_stream(&self, id: i32) {
        if self.0.outbox.lock().streams_in.remove(&id).is_some() {
            let _too_small_to_fail = self.stream_frame(id, "cancel", None, &[]);
        }
    }
}

/// A failure as bytes that fit every frame, however long its message is.
pub(in crate::rpc::link) fn failure(error: &Error) -> Bytes {
    expand::encode(service::Encoding::MessagePack, &expand::Failure::from(error).shortened()).unwrap_or_default()
}

/// Nobody is told how a oneway call ended, so its failure is at least logged.
fn unheard(answer: &service::Answer) {
    if let service::Answer::Failed(error) = answer {
        tracing::debug!(%error, "a oneway call failed");
    }
}
