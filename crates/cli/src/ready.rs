//! The line by which a process tells whoever started it that it is ready: `{"ready":"127.0.0.1:4321"}` on stdout.

use std::io::{self, Write};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Ready {
    ready: SocketAddr,
}

/// Says that this process serves at `address`. Nobody may be listening, which changes nothing.
pub(crate) fn announce(address: SocketAddr) {
    if let Ok(line) = serde_json::to_string(&Ready { ready: address }) {
        let mut out = io::stdout().lock();
        let _nobody_listens = writeln!(out, "{line}").and_then(|()| out.flush());
    }
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
