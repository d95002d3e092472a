//! Which names people may give to topics, groups, producers and jobs: one rule, wherever they are checked.
//!
//! Left out: names of services and methods, which are Rust's, and of streams, which are made of these and have slashes.

use crate::error::{Error, ErrorKind, codes};

/// Whether `name` may name a `what`: 1 to `limit` ASCII letters, digits, `.`, `-` and `_`. No slash, because names are parts of
/// keys, streams and run ids.
///
/// # Errors
/// `Invalid` (`RPC0001`), which says what a name is made of.
pub fn check(what: &str, name: &str, limit: usize) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if (1..=limit).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    let text = format!("read {what} name: 1 to {limit} ASCII letters, digits, '.', '-' and '_' are expected, not {name:?}");
    Err(Error::new(ErrorKind::Invalid, codes::BAD_REQUEST, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_break_a_key_is_refused_and_named() {
        for name in ["", "a/b", "ü", " ", "12345678901"] {
            let error = check("topic", name, 10).unwrap_err();
            assert!(
                error.message().contains(&format!(
                    "read topic name: 1 to 10 ASCII letters, digits, '.', '-' and '_' are expected, not {name:?}"
                )),
                "{error}"
            );
        }
        assert!(check("topic", "pay.tr-2_x", 10).is_ok());
    }
}
