//! HTTP/1 on the same listener: JSON calls at `POST /rpc/<service>/<method>`, and the pages of the process at `GET`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Body as _;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN, RETRY_AFTER};
use hyper::http::uri::Authority;
use hyper::{Method, Request, Response, StatusCode, body, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use settee_core::env::Io;
use settee_core::error::{ErrorKind, codes};
use settee_core::shutdown::Shutdown;
use settee_core::{Context, Error};

use super::expand::Failure;
use super::header::ContextReader;
use super::host::{AllowedHosts, name_in};
use super::pages::{HttpAnswer, HttpPages, PageRequest};
use super::server::{Incoming, Services};
use super::service::{Answer, Encoding};
use super::session::Session;

/// How long the head of a request may take.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a request's head at most.
const HEADER_BYTES: usize = 64 << 10;

/// Bytes of a request's body at most: the limit of a Bolt frame.
const BODY_BYTES: usize = 4 << 20;

/// How long the body of a request may take: who sends it byte by byte must not hold a place for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// When connections end although their clients would go on.
pub(super) struct Stop {
    pub(super) stopping: Shutdown,
    /// How long the request under way may take then.
    pub(super) drain: Duration,
}

/// Ends the session with its connection, also when a page panics.
struct CloseOnDrop(Session);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What every connection is served.
pub(super) struct Served {
    pub(super) services: Arc<Services>,
    pub(super) pages: Arc<dyn HttpPages>,
    /// The names under which browsers may ask.
    pub(super) hosts: AllowedHosts,
}

struct Serving {
    served: Served,
    session: Session,
}

/// Serves one connection until it closes, or until the stop and the request under way has been answered.
pub(super) async fn serve(connection: impl Io + 'static, peer: SocketAddr, served: Served, stop: Stop) {
    let session = Session::open(Some(peer));
    let _close = CloseOnDrop(session.clone());
    let serving = Arc::new(Serving { served, session });
    let service = service_fn(move |request| {
        let serving = serving.clone();
        async move { Ok::<_, std::convert::Infallible>(serving.answer(request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT).max_buf_size(HEADER_BYTES);
    let connection = http.serve_connection(TokioIo::new(connection), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.stopping.requested() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(stop.drain, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an HTTP connection broke");
    }
}

impl Serving {
    async fn answer(&self, request: Request<body::Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let called = path.strip_prefix("/rpc/").and_then(|rest| rest.split_once('/'));
        match (request.method(), called) {
            (&Method::POST, Some((service, method))) => match self.call(service, method, request).await {
                Ok(answer) => json_answer(answer),
                Err(error) => failed(&error),
            },
            (_, Some(_)) => failed_with(StatusCode::METHOD_NOT_ALLOWED, &wrong("call over HTTP: use POST")),
            (&Method::GET | &Method::HEAD, None) => match self.served.pages.get(self.page_request(&request)).await {
                Some(page) => shown(page),
                None => failed_with(StatusCode::NOT_FOUND, &wrong(&format!("get {path}: there is no such page"))),
            },
            _ => failed_with(StatusCode::METHOD_NOT_ALLOWED, &wrong("this path is read with GET")),
        }
    }

    async fn call(&self, service: &str, method: &str, request: Request<body::Incoming>) -> Result<Answer, Error> {
        self.refuse_foreign_pages(&request)?;
        let (service, method) = self.served.services.resolve(service, method)?;
        let context = read_context(&request);
        let body = read_body(request).await?;
        let body = if body.is_empty() { Bytes::from_static(b"{}") } else { body };
        let incoming =
            Incoming { service, method, encoding: Encoding::Json, body, context, xid: None, session: self.session.clone() };
        Ok(self.served.services.serve(incoming).await)
    }

    /// A browser says in `Origin` which page made it call, and lets any page send a call, though not read its answer. Only pages of
    /// this process may, and only under a name that nobody else can own.
    fn refuse_foreign_pages(&self, request: &Request<body::Incoming>) -> Result<(), Error> {
        let Some(origin) = request.headers().get(ORIGIN) else { return Ok(()) };
        let (host, hosts) = (host_of(request).unwrap_or_default(), &self.served.hosts);
        if origin.to_str().is_ok_and(|origin| hosts.are_of(origin, host)) {
            return Ok(());
        }
        let next = match (name_in(host), hosts.admits(host)) {
            (Some(name), false) => format!(
                "; if this process is reached as {name}, tell it: --set settee.allowed_hosts={name}, or `settee server --allowed-host {name}`"
            ),
            // A proxy may have changed it.
            _ => format!("; the call says it is for {host:?}, and a proxy must hand that on as the browser sent it"),
        };
        let message = format!("call over HTTP: a page of {} may not, only one that this process serves{next}", quoted(origin));
        Err(Error::new(ErrorKind::Denied, codes::BAD_REQUEST, message))
    }

    fn page_request<'a>(&self, request: &'a Request<body::Incoming>) -> PageRequest<'a> {
        let host = host_of(request);
        PageRequest {
            path: request.uri().path(),
            query: request.uri().query().unwrap_or_default(),
            host,
            is_allowed_host: host.is_some_and(|host| self.served.hosts.admits(host)),
            html: text_of(request, &ACCEPT).is_some_and(|accepted| accepted.contains("text/html")),
        }
    }
}

fn quoted(value: &HeaderValue) -> String {
    value.to_str().map_or_else(|_| "an unreadable origin".to_owned(), |text| format!("{text:?}"))
}

/// Where the client believes to be.
fn host_of(request: &Request<body::Incoming>) -> Option<&str> {
    request.uri().authority().map(Authority::as_str).or_else(|| text_of(request, &HOST))
}

fn text_of<'a>(request: &'a Request<body::Incoming>, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn read_context(request: &Request<body::Incoming>) -> Context {
    let mut reader = ContextReader::default();
    for (name, value) in request.headers() {
        if let Ok(value) = value.to_str() {
            reader.header(name.as_str(), value);
        }
    }
    reader.finish(None)
}

async fn read_body(request: Request<body::Incoming>) -> Result<Bytes, Error> {
    let too_large =
        || Error::new(ErrorKind::Invalid, codes::TOO_LARGE, format!("read a request body: more than {BODY_BYTES} bytes"));
    if request.body().size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_large());
    }
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(request.into_body(), BODY_BYTES).collect()).await;
    match collected.unwrap_or_else(|_| Err("it takes too long".into())) {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
        Err(error) => Err(wrong(&format!("read a request body: {error}"))),
    }
}

fn json_answer(answer: Answer) -> Response<Full<Bytes>> {
    match answer {
        Answer::Value(body) => response(StatusCode::OK, "application/json", body),
        Answer::Refused { code, body } => {
            let refusal: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
            json_response(StatusCode::UNPROCESSABLE_ENTITY, &json!({ "refused": { "code": code, "refusal": refusal } }))
        }
        Answer::Failed(error) => failed(&error),
        Answer::Stream(_) => failed(&Error::new(ErrorKind::Unsupported, codes::BAD_REQUEST, "read a stream over HTTP/1")),
    }
}

fn failed(error: &Error) -> Response<Full<Bytes>> {
    failed_with(status_of(error.kind()), error)
}

fn failed_with(status: StatusCode, error: &Error) -> Response<Full<Bytes>> {
    let mut response = json_response(status, &json!({ "failed": Failure::from(error) }));
    if let Some(wait) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, wait.as_secs().max(1).into());
    }
    response
}

fn status_of(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Limited => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable | ErrorKind::NotOwner | ErrorKind::Closed => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn shown(page: HttpAnswer) -> Response<Full<Bytes>> {
    let mut response = response(status(page.status), page.content_type, page.body);
    for (name, value) in page.headers {
        let (name, value) = (HeaderName::from_static(name), HeaderValue::from_static(value));
        response.headers_mut().insert(name, value);
    }
    response
}

fn json_response(status: StatusCode, value: &serde_json::Value) -> Response<Full<Bytes>> {
    response(status, "application/json", value.to_string().into())
}

fn response(status: StatusCode, content_type: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, message)
}
