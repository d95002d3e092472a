//! The floor: an echo that knows nothing of a frame but where it ends and which number it has.

use std::time::Instant;

use anyhow::Context;
use bytes::{Buf, Bytes, BytesMut};
use settee_benches::command::runtime;
use settee_benches::peer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{IN_FLIGHT, TURN};

/// Room for what is read at once: more than all frames that are in flight.
const READ_BYTES: usize = 16 << 10;
/// Where the number of a call lies in a frame of Bolt v1.
const NUMBER_AT: usize = 5;
/// Where the three lengths of a request and of an answer lie: behind a timeout of four bytes, or a status of two.
const LENGTHS_AT: [usize; 2] = [14, 12];
/// Class, header, content: 2 + 2 + 4 bytes.
const LENGTHS_BYTES: usize = 8;

/// The length of the frame that `bytes` begin with, once all of it is there.
pub(crate) fn frame_length(bytes: &[u8]) -> Option<usize> {
    let is_request = *bytes.get(1)? != 0;
    let at = if is_request { LENGTHS_AT[0] } else { LENGTHS_AT[1] };
    let mut lengths = bytes.get(at..at + LENGTHS_BYTES)?;
    let body = usize::from(lengths.get_u16()) + usize::from(lengths.get_u16()) + lengths.get_u32() as usize;
    let whole = at + LENGTHS_BYTES + body;
    (bytes.len() >= whole).then_some(whole)
}

/// Serves until whoever started this is gone.
pub(crate) fn echo(told: &[String]) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let answer = unhex(told.get(1).context("the answer is given")?)?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    peer::say(listener.local_addr()?)?;
    runtime.spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(answer_all(connection, answer.clone()));
        }
    });
    peer::serve(|_| None)
}

/// Answers all frames of one read with one write.
async fn answer_all(mut connection: TcpStream, answer: Bytes) -> anyhow::Result<()> {
    connection.set_nodelay(true)?;
    let (mut read, mut written) = (BytesMut::with_capacity(READ_BYTES), BytesMut::with_capacity(READ_BYTES));
    while connection.read_buf(&mut read).await? > 0 {
        while let Some(length) = frame_length(&read) {
            push(&mut written, &answer, &read);
            read.advance(length);
        }
        connection.write_all(&written).await?;
        written.clear();
        read.reserve(READ_BYTES);
    }
    Ok(())
}

/// Appends `frame` with the number of the frame at the front of `of`.
fn push(out: &mut BytesMut, frame: &[u8], of: &[u8]) {
    let start = out.len() + NUMBER_AT;
    out.extend_from_slice(frame);
    out[start..start + 4].copy_from_slice(&of[NUMBER_AT..NUMBER_AT + 4]);
}

/// Calls when it is asked to.
pub(crate) fn caller(told: &[String]) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let [address, request] = told else { anyhow::bail!("address and request are given") };
    let request = unhex(request)?;
    let connection = runtime.block_on(TcpStream::connect(address))?;
    connection.set_nodelay(true)?;
    let mut caller = Some(Caller { connection, request, read: BytesMut::with_capacity(READ_BYTES) });
    peer::say("ready")?;
    peer::serve(|question| {
        let called = caller.take().filter(|_| question == "call")?;
        let done = runtime.block_on(runtime.spawn(called.calls()));
        Some(done.map_err(anyhow::Error::from).flatten().map(|(back, count)| {
            caller = Some(back);
            count.to_string()
        }))
    })
}

struct Caller {
    connection: TcpStream,
    request: Bytes,
    read: BytesMut,
}

impl Caller {
    /// Keeps so many calls in flight for a while; each answer makes room for the next call, all of one read go out in one write.
    async fn calls(mut self) -> anyhow::Result<(Self, u64)> {
        let (started, mut count, mut sent) = (Instant::now(), 0, IN_FLIGHT);
        let mut written = BytesMut::with_capacity(READ_BYTES);
        (0..IN_FLIGHT).for_each(|_| written.extend_from_slice(&self.request));
        self.connection.write_all(&written).await?;
        while sent > 0 {
            anyhow::ensure!(self.connection.read_buf(&mut self.read).await? > 0, "the echo is gone");
            written.clear();
            let goes_on = started.elapsed() < TURN;
            while let Some(length) = frame_length(&self.read) {
                count += 1;
                sent -= 1;
                if goes_on {
                    push(&mut written, &self.request, &self.read);
                    sent += 1;
                }
                self.read.advance(length);
            }
            self.connection.write_all(&written).await?;
            self.read.reserve(READ_BYTES);
        }
        Ok((self, count))
    }
}

fn unhex(text: &str) -> anyhow::Result<Bytes> {
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2).context("two digits a byte")?, 16).context("hex digits");
    (0..text.len()).step_by(2).map(byte).collect()
}
