//! Pages that a process shows beside its services, as the listener asks for them: what was asked, and what is answered.
//!
//! Left out: sessions, bodies and anything but reading. What changes something is a call.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::Bytes;

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
        Self { path, query, host: None, html: false }
    }

    /// The address that [`host`](Self::host) names without the help of a name server; `None` for any other name.
    ///
    /// A page that is for this machine alone checks it: a foreign page whose name was made to lead here ("DNS rebinding") still
    /// comes under its own name.
    #[must_use]
    pub fn host_address(&self) -> Option<IpAddr> {
        self.host.and_then(literal_address)
    }
}

/// The address of an authority that is an address, or `localhost`, with or without a port.
pub(super) fn literal_address(authority: &str) -> Option<IpAddr> {
    if let Ok(socket) = authority.parse::<SocketAddr>() {
        return Some(socket.ip().to_canonical());
    }
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = bracketed.or(Some(authority)).and_then(|address| address.parse::<IpAddr>().ok()) {
        return Some(address.to_canonical());
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    let is_local = name.eq_ignore_ascii_case("localhost") && port.bytes().all(|digit| digit.is_ascii_digit());
    is_local.then_some(IpAddr::V4(Ipv4Addr::LOCALHOST))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_localhost_are_believed_without_asking_a_name_server() {
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        for named in ["127.0.0.1", "127.0.0.1:7400", "localhost", "LocalHost:7400", "localhost:", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(literal_address(named), Some(loopback), "{named}");
        }
        assert_eq!(literal_address("[::1]:7400"), "::1".parse().ok());
        assert_eq!(literal_address("[::1]"), "::1".parse().ok());
        assert_eq!(literal_address("192.168.1.7:7400"), "192.168.1.7".parse().ok());
        for foreign in [
            "",
            "evil.example",
            "evil.example:7400",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7400",
            "x@localhost",
            "localhost:7400.evil.example",
            "127.0.0.1:7400:1",
        ] {
            assert_eq!(literal_address(foreign), None, "{foreign}");
        }
    }
}
