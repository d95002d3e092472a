//! The bytes of one call and of its answer, taken off the wire: what the raw pair sends to and fro.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use settee::rpc::{Channels, StaticInstances};
use settee::trace::Tracer;
use settee_benches::command::runtime;
use settee_core::env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::raw::frame_length;
use crate::service::{Echo, EchoClient, payload};

/// A frame is far smaller.
const READ_BYTES: usize = 4_096;

/// A call and its answer.
pub(crate) struct Frames {
    pub(crate) request: Bytes,
    pub(crate) answer: Bytes,
}

/// Catches a call of a real client, hands it to the real service at `echo`, and catches the answer.
pub(crate) fn frames(echo: SocketAddr) -> anyhow::Result<Frames> {
    runtime()?.block_on(async {
        let mut listener = env::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let here = StaticInstances::new().otherwise([listener.local_addr()?]);
        let client: EchoClient = Channels::new(Arc::new(here), Tracer::off()).client();
        env::spawn(async move { client.echo(payload()).await.map(drop) });
        let (mut from_client, _) = listener.accept().await?;
        let request = read_frame(&mut from_client).await?;
        let mut to_service = env::connect(echo).await?;
        to_service.write_all(&request).await?;
        Ok(Frames { request, answer: read_frame(&mut to_service).await? })
    })
}

async fn read_frame(from: &mut env::Connection) -> anyhow::Result<Bytes> {
    let mut read = bytes::BytesMut::with_capacity(READ_BYTES);
    loop {
        anyhow::ensure!(from.read_buf(&mut read).await? > 0, "the connection closed before a frame was whole");
        if let Some(length) = frame_length(&read) {
            return Ok(read.split_to(length).freeze());
        }
    }
}
