//! Who may look, and what a browser may do with what it gets.
//!
//! The server listens where nobody proves who he is, so a page of somebody else must not reach the console through its visitor's
//! browser: not by a name that was made to lead here, not in a frame, not by a script that slipped in with a name.

use bytes::Bytes;
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

/// Where the console is without being told a name.
const ADDRESS: &str = "http://127.0.0.1:7400/";

/// Lets a request in that came under an address, `localhost`, or a name that this server was told.
///
/// # Errors
/// The answer to any other: what to type if the name is the server's own. Of the request it repeats that name and nothing else, and
/// only if it is one.
pub(super) fn admit(request: &PageRequest<'_>) -> Result<(), HttpAnswer> {
    if request.is_allowed_host {
        return Ok(());
    }
    let (under, name) = match request.host_name() {
        Some(name) => (format!("under the name {name}"), name),
        None => ("without a name".to_owned(), "NAME".to_owned()),
    };
    Err(refuse(
        403,
        format!(
            "The console is not shown {under}.\n\n\
             If that is a name of this server, start it with the name:\n\n    \
             settee server --allowed-host {name}\n\n\
             or with SETTEE_ALLOWED_HOSTS={name} in its environment. Several are separated by commas.\n\
             An address and localhost need nothing: {ADDRESS}\n\n\
             Other names are refused, because somebody may have made one lead here to read this console in your browser.\n"
        ),
    ))
}

/// A refusal as plain text.
pub(super) fn refuse(status: u16, why: impl Into<Bytes>) -> HttpAnswer {
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

    fn refusal(host: Option<&str>) -> String {
        let refused = admit(&PageRequest { host, ..PageRequest::of("/") }).unwrap_err();
        assert_eq!((refused.status, refused.content_type), (403, "text/plain; charset=utf-8"));
        String::from_utf8(refused.body.to_vec()).unwrap()
    }

    #[test]
    fn who_is_refused_reads_exactly_what_to_type() {
        let refused = refusal(Some("Settee.Bank.Example.:7400"));
        for part in ["under the name settee.bank.example.\n", "\n    settee server --allowed-host settee.bank.example\n"] {
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_not_repeated() {
        for host in [None, Some("<script>"), Some("a b"), Some("x; rm -rf /"), Some("evil.example:7400:1")] {
            let refused = refusal(host);
            assert!(refused.contains("without a name") && refused.contains("--allowed-host NAME"), "{refused}");
            assert!(!host.is_some_and(|host| refused.contains(host)), "{refused}");
        }
    }

    #[test]
    fn who_asks_under_a_name_that_the_listener_knows_is_let_in() {
        let request = PageRequest { host: Some("settee.bank.example"), is_allowed_host: true, ..PageRequest::of("/") };
        assert!(admit(&request).is_ok());
    }
}
