//! Who may look, and what a browser may do with what it gets.
//!
//! The server listens where nobody proves who he is, so a page of somebody else must not reach the console through its visitor's
//! browser: not by a name that was made to lead here, not in a frame, not by a script that slipped in with a name.

use std::net::IpAddr;

use maud::Markup;
use settee::rpc::{HttpAnswer, PageRequest};

/// Nothing is kept, nothing is loaded but the console's own style sheet and the icon in the page itself, and nothing is run.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
];

/// Lets a request in that came under an address of this machine: loopback, or where the server listens.
///
/// # Errors
/// The answer to any other.
pub(super) fn admit(request: &PageRequest<'_>, listen: IpAddr) -> Result<(), HttpAnswer> {
    let is_here = |address: IpAddr| address.is_loopback() || address == listen || listen.is_unspecified();
    if request.host_address().is_some_and(is_here) {
        return Ok(());
    }
    Err(refuse(
        403,
        "the console is read at the address where the server listens, such as http://127.0.0.1:7400/, under no other name",
    ))
}

/// A refusal as plain text: nothing of the request is repeated.
pub(super) fn refuse(status: u16, why: &'static str) -> HttpAnswer {
    HttpAnswer { headers: HEADERS, ..HttpAnswer::new(status, "text/plain; charset=utf-8", why) }
}

/// A page.
pub(super) fn html(status: u16, page: Markup) -> HttpAnswer {
    HttpAnswer { headers: HEADERS, ..HttpAnswer::new(status, "text/html; charset=utf-8", page.into_string()) }
}

/// The style sheet.
pub(super) fn style(sheet: &'static str) -> HttpAnswer {
    HttpAnswer { headers: HEADERS, ..HttpAnswer::new(200, "text/css; charset=utf-8", sheet) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_let_in(host: &str, listen: &str) -> bool {
        let request = PageRequest { host: Some(host), ..PageRequest::of("/") };
        admit(&request, listen.parse().unwrap()).is_ok()
    }

    #[test]
    fn a_foreign_name_that_leads_here_shows_nothing() {
        for host in ["evil.example", "evil.example:7400", "127.0.0.1.nip.io:7400", "localhost.evil.example", ""] {
            assert!(!is_let_in(host, "127.0.0.1"), "{host}");
            assert!(!is_let_in(host, "0.0.0.0"), "{host}");
        }
        assert!(admit(&PageRequest::of("/"), "127.0.0.1".parse().unwrap()).is_err(), "no name at all");
    }

    #[test]
    fn loopback_and_the_address_that_is_listened_on_are_let_in_through_any_port() {
        for host in ["127.0.0.1:7400", "localhost:9000", "[::1]:7400", "127.9.9.9"] {
            assert!(is_let_in(host, "127.0.0.1"), "{host}");
        }
        assert!(is_let_in("10.0.0.7:7400", "10.0.0.7") && is_let_in("10.0.0.7:7400", "0.0.0.0"));
        assert!(!is_let_in("10.0.0.8:7400", "10.0.0.7"));
    }
}
