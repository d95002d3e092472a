//! From a frame that was read to what it means.

use bytes::Bytes;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::{Certainty, Context, Error};
use settee_wire::bolt::{Body, Codec, Head, HeaderError, Limits, Status, Timeout};

use super::outbox::Completed;
use crate::rpc::expand;
use crate::rpc::header::{self, ContextReader};
use crate::rpc::stream::{MAX_CREDIT, SERVICE as STREAM_SERVICE};

/// The name under which ends talk about the connection itself.
pub(super) const LINK_SERVICE: &str = "settee.Link";

/// What a request frame asks for.
pub(super) enum Request<'a> {
    Call { service: &'a str, method: &'a str, context: Context, credit: usize, xid: Option<Xid> },
    Item(i32),
    End(i32),
    Credit(i32, usize),
    Cancel(i32),
    GoAway,
}

/// Reads the headers of a request.
pub(super) fn request<'a>(head: Head, body: &'a Body, timeout: Timeout, limits: &Limits) -> Result<Request<'a>, Error> {
    if head.codec != Codec::MESSAGE_PACK {
        let message = format!("read a call: codec {} is not served here, settee peers use MessagePack", head.codec.0);
        return Err(Error::new(ErrorKind::Unsupported, codes::BAD_REQUEST, message));
    }
    let mut context = ContextReader::default();
    let (mut service, mut method, mut credit, mut stream, mut xid) = (None, None, 0, None, None);
    for pair in body.pairs(limits).iter() {
        let (key, value) = pair.map_err(|error| bad_header(&error))?;
        match key {
            header::SERVICE => service = Some(value),
            header::METHOD => method = Some(value),
            header::CREDIT => credit = value.parse().unwrap_or(0).min(MAX_CREDIT),
            header::STREAM => stream = value.parse().ok(),
            header::XID => xid = value.parse().ok(),
            other => context.header(other, value),
        }
    }
    let (Some(service), Some(method)) = (service, method) else {
        return Err(Error::new(
            ErrorKind::Invalid,
            codes::BAD_REQUEST,
            "read a call: the headers service and method are missing",
        ));
    };
    match (service, stream) {
        (STREAM_SERVICE, Some(id)) => stream_request(method, id, credit),
        (LINK_SERVICE, _) => Ok(Request::GoAway),
        _ => Ok(Request::Call { service, method, context: context.finish(timeout.duration()), credit, xid }),
    }
}

fn stream_request<'a>(action: &str, id: i32, credit: usize) -> Result<Request<'a>, Error> {
    match action {
        "item" => Ok(Request::Item(id)),
        "end" => Ok(Request::End(id)),
        "credit" => Ok(Request::Credit(id, credit)),
        "cancel" => Ok(Request::Cancel(id)),
        other => Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, format!("read a stream frame: {other:?} is not known"))),
    }
}

/// Reads an answer frame.
pub(super) fn answer(status: Status, body: Body, limits: &Limits) -> Result<Completed, Error> {
    if status != Status::Success {
        let message = format!("read the answer: the peer reports Bolt status {status:?}");
        return Err(Error::new(ErrorKind::Unavailable, codes::BAD_REPLY, message).with_certainty(certainty(status)));
    }
    let (mut outcome, mut code, mut streams) = (None, "", false);
    for pair in body.pairs(limits).iter() {
        let (key, value) = pair.map_err(|error| bad_header(&error).unknown())?;
        match key {
            header::OUTCOME => outcome = Some(value),
            header::REFUSAL => code = value,
            header::STREAM => streams = true,
            _ => {}
        }
    }
    match outcome {
        None if streams => Ok(Completed::Stream),
        None => Ok(Completed::Value(body.content)),
        Some(header::REFUSED) => Ok(Completed::Refused { code: code.to_owned(), body: body.content }),
        Some(_) => Err(read_failure(&body.content)),
    }
}

/// What a status says about whether the call ran.
fn certainty(status: Status) -> Certainty {
    match status {
        Status::ServerBusy | Status::NoProcessor | Status::ServerDeserializationFailed => Certainty::NotDone,
        Status::Success | Status::ServerSerializationFailed => Certainty::Done,
        _ => Certainty::Unknown,
    }
}

/// The error inside a failed answer or at the end of a stream.
pub(super) fn read_failure(body: &Bytes) -> Error {
    match expand::decode_reply::<expand::Failure>(body) {
        Ok(failure) => failure.into(),
        Err(unreadable) => unreadable.unknown(),
    }
}

/// The refusal of a call that came while `limit` others of its connection were under way: at once, because in the socket it would
/// wait where no deadline reaches it, in front of heartbeats and credit.
pub(super) fn too_many(service: &str, method: &str, limit: usize) -> Error {
    let message = format!("serve {service}.{method}: {limit} calls of this connection are under way");
    Error::new(ErrorKind::Limited, codes::TOO_MANY_CALLS, message)
}

fn bad_header(error: &HeaderError) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, format!("read the headers: {error}"))
}
