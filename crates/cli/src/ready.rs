//! The line by which a process tells whoever started it that it is ready, read: see [`settee::app::announce`].

use std::io;
use std::net::SocketAddr;

use serde::Deserialize;
use tokio::io::{AsyncBufRead, Lines};

#[derive(Deserialize)]
struct Ready {
    ready: SocketAddr,
}

/// Reads until the process says that it is ready: where it serves. `None` when it ended before.
///
/// # Errors
/// Those of the reader.
///
/// # Cancel safety
/// Lines that were read are lost.
pub async fn ready<R: AsyncBufRead + Unpin>(output: &mut Lines<R>) -> io::Result<Option<SocketAddr>> {
    while let Some(line) = output.next_line().await? {
        if let Some(address) = parse(&line) {
            return Ok(Some(address));
        }
    }
    Ok(None)
}

/// The address in such a line; `None` when it is another line.
fn parse(line: &str) -> Option<SocketAddr> {
    serde_json::from_str::<Ready>(line).ok().map(|ready| ready.ready)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncBufReadExt;

    use super::*;

    #[test]
    fn only_a_ready_line_is_one() {
        assert_eq!(parse(r#"{"ready":"127.0.0.1:4321"}"#), "127.0.0.1:4321".parse().ok());
        for line in ["", "ready", r#"{"ready":"here"}"#, r#"{"address":"127.0.0.1:1"}"#] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[tokio::test]
    async fn what_a_program_says_before_it_is_ready_is_passed_over() {
        let mut output = &b"compiled\n{\"ready\":\"127.0.0.1:4321\"}\nlater\n"[..];
        let mut lines = (&mut output).lines();
        assert_eq!(ready(&mut lines).await.unwrap(), "127.0.0.1:4321".parse().ok());
        assert_eq!(ready(&mut lines).await.unwrap(), None, "it ended");
    }
}
