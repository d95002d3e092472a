//! The line by which a process tells whoever started it that it is ready, read: see [`settee::app::announce`].

use std::net::SocketAddr;

use serde::Deserialize;

#[derive(Deserialize)]
struct Ready {
    ready: SocketAddr,
}

/// The address in such a line; `None` when it is another line.
pub(crate) fn parse(line: &str) -> Option<SocketAddr> {
    serde_json::from_str::<Ready>(line).ok().map(|ready| ready.ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ready_line_is_one() {
        assert_eq!(parse(r#"{"ready":"127.0.0.1:4321"}"#), "127.0.0.1:4321".parse().ok());
        for line in ["", "ready", r#"{"ready":"here"}"#, r#"{"address":"127.0.0.1:1"}"#] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
