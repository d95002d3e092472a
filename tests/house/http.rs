//! Requests as `curl` makes them: text on a socket.

use std::net::SocketAddr;

use settee_core::env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body.
    pub body: String,
}

impl Page {
    /// The body, read as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// `GET path`.
///
/// # Panics
/// When there is no answer.
pub async fn get(at: SocketAddr, path: &str) -> Page {
    ask(at, format!("GET {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\n\r\n")).await
}

/// `GET path` of a browser that believes to be at `host`.
///
/// # Panics
/// When there is no answer.
pub async fn browse(at: SocketAddr, host: &str, path: &str) -> Page {
    ask(at, format!("GET {path} HTTP/1.1\r\nhost: {host}\r\naccept: text/html\r\nconnection: close\r\n\r\n")).await
}

/// `POST path` with a JSON body.
///
/// # Panics
/// When there is no answer.
pub async fn post(at: SocketAddr, path: &str, body: &str) -> Page {
    let head = format!("POST {path} HTTP/1.1\r\nhost: {at}\r\nconnection: close\r\ncontent-type: application/json");
    ask(at, format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await
}

async fn ask(at: SocketAddr, request: String) -> Page {
    let mut connection = env::connect(at).await.expect("somebody listens");
    connection.write_all(request.as_bytes()).await.expect("the request is taken");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Page { status, head: head.to_lowercase(), body: body.to_owned() }
}
