//! Pages that a process shows beside its services, as the listener asks for them: what was asked, and what is answered.
//!
//! Left out: sessions, bodies and anything but reading. What changes something is a call.

use bytes::Bytes;

use super::host::name_in;
use super::service::BoxFuture;

/// Pages that a process shows at `GET`, such as `/health/live`.
pub trait HttpPages: Send + Sync + 'static {
    /// The page that is asked for; `None` if there is none.
    fn get(&self, request: PageRequest<'_>) -> BoxFuture<Option<HttpAnswer>>;
}

/// No pages.
impl HttpPages for () {
    fn get(&self, _: PageRequest<'_>) -> BoxFuture<Option<HttpAnswer>> {
        Box::pin(std::future::ready(None))
    }
}

/// What a page is asked with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageRequest<'a> {
    /// The path, such as `/info`, as it was sent: nothing in it is decoded.
    pub path: &'a str,
    /// What follows the `?`, as it was sent; empty if nothing does.
    pub query: &'a str,
    /// Where the client believes to be, such as `127.0.0.1:7400`: the header `Host`.
    pub host: Option<&'a str>,
    /// Whether [`host`](Self::host) is an address, `localhost`, or one of the names that this process was told, its
    /// [`AllowedHosts`](super::AllowedHosts).
    ///
    /// A page that is not for everybody checks it: a foreign page whose name was made to lead here ("DNS rebinding") still comes under
    /// its own name.
    pub is_allowed_host: bool,
    /// Whether the client reads HTML, as browsers do.
    pub html: bool,
}

impl<'a> PageRequest<'a> {
    /// A request for `path`, which may have a query, that says nothing else.
    ///
    /// ```
    /// use settee::rpc::PageRequest;
    ///
    /// let request = PageRequest::of("/transactions?state=parked");
    /// assert_eq!((request.path, request.query), ("/transactions", "state=parked"));
    /// ```
    #[must_use]
    pub fn of(path: &'a str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self { path, query, ..Self::default() }
    }

    /// The name that [`host`](Self::host) gives, in lower case and without its port, if it can be one of
    /// [`AllowedHosts`](super::AllowedHosts): for the advice to allow it.
    #[must_use]
    pub fn host_name(&self) -> Option<String> {
        self.host.and_then(name_in)
    }
}

/// A page.
#[derive(Clone, Debug)]
pub struct HttpAnswer {
    /// The status, such as 200.
    pub status: u16,
    /// The media type, such as `application/json`.
    pub content_type: &'static str,
    /// Further headers, such as `("cache-control", "no-store")`; names in lower case.
    pub headers: &'static [(&'static str, &'static str)],
    /// The content.
    pub body: Bytes,
}

impl HttpAnswer {
    /// A page without further headers.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, content_type, headers: &[], body: body.into() }
    }
}
