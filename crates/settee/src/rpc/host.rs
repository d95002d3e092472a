//! Under which names a process is reached, and who may therefore ask it from a browser.
//!
//! Nobody signs in here, so a page of somebody else must not get at a process through its visitor's browser. Browsers keep foreign
//! pages apart by name, and who owns a name may let it lead to any address ("DNS rebinding"): such a page then asks under its own
//! name. An address or `localhost` is nobody's to redirect; any other name is believed only if the process was told it.
//!
//! Left out: who calls. A name keeps out pages, and not people or programs, which say what they like.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

/// Names at most: a service has a handful, and each request is compared with them.
const MAX_NAMES: usize = 64;

/// Bytes of a name and of each of its parts at most: what DNS carries.
const MAX_NAME_BYTES: usize = 253;
const MAX_PART_BYTES: usize = 63;

/// The names under which a process is reached, beside its addresses and `localhost`, which need no entry. Default: none.
///
/// In a configuration it is a list, or one text with commas between the names, as it stands in an environment variable.
///
/// ```
/// use settee::rpc::AllowedHosts;
///
/// let hosts = AllowedHosts::new(["settee.bank.example"])?;
/// for admitted in ["settee.bank.example", "Settee.Bank.Example.:7400", "10.0.0.7:7400", "[::1]:7400", "localhost"] {
///     assert!(hosts.admits(admitted), "{admitted}");
/// }
/// assert!(!hosts.admits("settee.bank.example.evil.com"));
/// # Ok::<(), settee::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedHosts(Arc<BTreeSet<String>>);

impl AllowedHosts {
    /// The names `names`, each in lower case, without scheme, port and path; up to 64 of them.
    ///
    /// # Errors
    /// `Invalid` (`APP0002`), with the name and what is wrong with it.
    pub fn new<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, Error> {
        Self::read(names).map_err(|why| Error::new(ErrorKind::Invalid, codes::BAD_VALUE, why))
    }

    fn read<N: AsRef<str>>(names: impl IntoIterator<Item = N>) -> Result<Self, String> {
        let mut known = BTreeSet::new();
        for name in names {
            let name = name.as_ref();
            if let Some(why) = trouble(name) {
                return Err(format!("expected a host name such as settee.bank.example, got {name:?}: {why}"));
            }
            known.insert(name.to_owned());
            if known.len() > MAX_NAMES {
                return Err(format!("expected up to {MAX_NAMES} host names, got more"));
            }
        }
        Ok(Self(Arc::new(known)))
    }

    /// Whether a client that believes to be at `authority`, as it stands in `Host`, may be shown what is for those who are here: it
    /// is an address, `localhost`, or one of the names, in any case, with or without a port and the dot at its end.
    #[must_use]
    pub fn admits(&self, authority: &str) -> bool {
        literal_address(authority).is_some() || name_in(authority).is_some_and(|name| self.0.contains(&name))
    }

    /// Whether a page of `origin` is one that this process served to somebody who asked for `authority`, which it admits. A page of
    /// another port is somebody else's.
    pub(super) fn are_of(&self, origin: &str, authority: &str) -> bool {
        let page = origin.split_once("://").map(|(_, page)| page);
        page.is_some_and(|page| page.eq_ignore_ascii_case(authority)) && self.admits(authority)
    }
}

/// The name in an authority, as it would stand in the list; `None` for an address and for what cannot be a name.
pub(super) fn name_in(authority: &str) -> Option<String> {
    let (name, port) = authority.split_once(':').unwrap_or((authority, ""));
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    (port.bytes().all(|digit| digit.is_ascii_digit()) && trouble(&name).is_none()).then_some(name)
}

/// What is wrong with a name.
fn trouble(name: &str) -> Option<&'static str> {
    let of_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    let is_part = |part: &str| !part.is_empty() && part.len() <= MAX_PART_BYTES && !part.starts_with('-') && !part.ends_with('-');
    let last_is_number = || name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    Some(match name {
        "" => "it is empty",
        _ if name.contains("://") => "leave out the scheme",
        _ if literal_address(name).is_some() => "addresses and localhost need no entry",
        _ if name.contains('/') => "leave out the path",
        _ if name.contains(':') => "leave out the port, every one is meant",
        _ if name.contains('*') => "name each one, there are no patterns",
        _ if name.bytes().any(|byte| byte.is_ascii_uppercase()) => "write it in lower case",
        _ if !name.bytes().all(of_name) => "a name has letters, digits, hyphens and dots",
        _ if name.len() > MAX_NAME_BYTES || !name.split('.').all(is_part) => {
            "a part of it is empty, too long, or ends with a hyphen"
        }
        _ if last_is_number() => "its last part is a number, as in an address",
        _ => return None,
    })
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

impl Serialize for AllowedHosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for AllowedHosts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Names)
    }
}

/// Reads a list of names, or one text with commas.
struct Names;

impl<'de> de::Visitor<'de> for Names {
    type Value = AllowedHosts;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list of names such as [\"settee.bank.example\"]")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<AllowedHosts, E> {
        AllowedHosts::read(text.split(',').map(str::trim)).map_err(E::custom)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<AllowedHosts, A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some(name) = list.next_element()? {
            names.push(name);
        }
        AllowedHosts::read(names).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> AllowedHosts {
        AllowedHosts::new(["settee.bank.example", "settee"]).unwrap()
    }

    #[test]
    fn only_addresses_and_localhost_are_believed_without_asking_a_name_server() {
        let loopback: IpAddr = Ipv4Addr::LOCALHOST.into();
        for named in ["127.0.0.1", "127.0.0.1:7400", "localhost", "LocalHost:7400", "localhost:", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(literal_address(named), Some(loopback), "{named}");
        }
        assert_eq!(literal_address("[::1]:7400"), "::1".parse().ok());
        assert_eq!(literal_address("[::1]"), "::1".parse().ok());
        assert_eq!(literal_address("192.168.1.7:7400"), "192.168.1.7".parse().ok());
        for foreign in FOREIGN {
            assert_eq!(literal_address(foreign), None, "{foreign}");
        }
    }

    /// Names that somebody else may own, or that nobody can.
    const FOREIGN: [&str; 13] = [
        "",
        ".",
        "evil.example",
        "evil.example:7400",
        "localhost.evil.example",
        "127.0.0.1.evil.example:7400",
        "x@localhost",
        "localhost:7400.evil.example",
        "127.0.0.1:7400:1",
        "settee.bank.example.evil.com",
        "evil-settee.bank.example",
        "settee.bank.example:7400@evil.com",
        "bank.example",
    ];

    #[test]
    fn a_name_that_only_looks_like_an_allowed_one_lets_nobody_in() {
        for foreign in FOREIGN {
            assert!(!hosts().admits(foreign), "{foreign}");
            assert!(!AllowedHosts::default().admits(foreign), "{foreign}");
        }
        for twisted in ["settee.bank.example..", "settee.bank.example:74x0", "settee.bank.example:7400:1", "settee.bank.example/"]
        {
            assert!(!hosts().admits(twisted), "{twisted}");
        }
        assert!(!AllowedHosts::default().admits("settee.bank.example"), "nothing is believed unless it is told");
    }

    #[test]
    fn an_allowed_name_lets_in_however_a_browser_writes_it() {
        let names =
            ["settee.bank.example", "settee.bank.example:7400", "SETTEE.Bank.example", "settee.bank.example.", "settee:80"];
        for name in
            names.into_iter().chain(["settee.bank.example.:443", "127.0.0.1:7400", "[::1]:7400", "[2001:db8::7]", "localhost"])
        {
            assert!(hosts().admits(name), "{name}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_not_ours_although_both_names_are() {
        let own = "settee.bank.example:7400";
        for (origin, authority, expected) in [
            ("http://settee.bank.example:7400", own, true),
            ("https://settee.bank.example", "Settee.Bank.Example", true),
            ("http://[::1]:7400", "[::1]:7400", true),
            ("http://settee.bank.example:9000", own, false),
            ("http://settee:7400", own, false),
            ("http://settee.bank.example.evil.com:7400", own, false),
            ("http://evil.example", "evil.example", false),
            ("http://127.0.0.1:7400", own, false),
            ("null", "null", false),
            ("http://", "", false),
        ] {
            assert_eq!(hosts().are_of(origin, authority), expected, "{origin} {authority}");
        }
    }

    #[test]
    fn a_name_that_could_never_match_is_refused_with_what_is_wrong_with_it() {
        for (wrong, why) in [
            ("", "it is empty"),
            ("http://settee.bank.example", "leave out the scheme"),
            ("settee.bank.example:7400", "leave out the port"),
            ("settee.bank.example/", "leave out the path"),
            ("Settee.bank.example", "lower case"),
            ("settee bank", "letters, digits"),
            ("settee.bank.exämple", "letters, digits"),
            ("*.bank.example", "no patterns"),
            ("settee.bank.example.", "a part of it is empty"),
            ("-settee.example", "ends with a hyphen"),
            ("10.0.0.7", "need no entry"),
            ("[::1]:7400", "need no entry"),
            ("localhost", "need no entry"),
            ("10.0.7", "its last part is a number"),
        ] {
            let error = AllowedHosts::new([wrong]).unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Invalid, &codes::BAD_VALUE), "{wrong}");
            assert!(error.message().contains(why), "{wrong}: {}", error.message());
        }
        assert!(AllowedHosts::new([&"a".repeat(64)]).is_err() && AllowedHosts::new([&"a.".repeat(200)]).is_err());
        assert!(AllowedHosts::new((0..MAX_NAMES).map(|n| format!("n{n}"))).is_ok());
        assert!(AllowedHosts::new((0..=MAX_NAMES).map(|n| format!("n{n}"))).is_err());
    }
}
