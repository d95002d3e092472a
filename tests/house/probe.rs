//! Single questions to a server that may be in trouble: each asks for something new to be stored, and ends within seconds.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::stream::{self, StreamExt};
use settee::app::App;
use settee::config::Settings;
use settee::error::codes;
use settee::mq::control::{OutgoingMessage, Publish};
use settee::mq::{MessageControl, MessageControlClient, ProducerRef};
use settee::txn::{Begin, LeaseXids, TransactionControl, TransactionControlClient};
use settee::{Context, Error};
use settee_core::env;
use settee_core::id::Xid;

use crate::{patiently, settings, until};

/// How long one question may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Questions at a time.
const AT_ONCE: usize = 32;

/// How long it may take until a disk is full of what is asked for.
const FULL_WITHIN: Duration = Duration::from_secs(60);

/// The topic of the probe's messages.
const TOPIC: &str = "probe";

/// Bytes of a message, and of a transaction's reference: as large as they may be, more or less.
const PAYLOAD: usize = 700 << 10;
const REFERENCE: usize = 256;

/// Somebody who asks.
pub struct Probe {
    transactions: TransactionControlClient,
    messages: MessageControlClient,
    producer: ProducerRef,
    sequence: AtomicU64,
    acknowledged: AtomicU64,
    _app: App,
}

impl Probe {
    /// Asks the server at this address, which is well yet.
    ///
    /// # Errors
    /// It is not.
    pub async fn open(server: SocketAddr) -> Result<Self, Error> {
        let app = App::new("probe", Settings { trace: false, ..settings(server) })?;
        let messages = app.messages().control().clone();
        let producer = until(|| async { messages.open_producer("probe".to_owned()).await.ok() }).await;
        let counters = (AtomicU64::new(0), AtomicU64::new(0));
        let probe =
            Self { transactions: app.control(), messages, producer, sequence: counters.0, acknowledged: counters.1, _app: app };
        probe.publish().await?;
        Ok(probe)
    }

    /// Begins a transaction, which nobody decides: a record in `Kv`.
    ///
    /// # Errors
    /// Those of the calls.
    pub async fn begin(&self) -> Result<(), Error> {
        let begin = async {
            let leased = self.transactions.lease(LeaseXids { count: 1 }).await?;
            let xid = Xid::new(leased.shard, leased.generation, leased.first, env::random_u64());
            let (name, application) = ("probe".to_owned(), "probe".to_owned());
            let reference = Some(".".repeat(REFERENCE));
            self.transactions.begin(Begin { xid, name, reference, timeout_ms: 5_000, application }).await
        };
        Ok(Context::root("probe").with_timeout(ANSWER_WITHIN).scope(begin).await?)
    }

    /// Publishes a large message: a record in `Log`.
    ///
    /// # Errors
    /// Those of the call.
    pub async fn publish(&self) -> Result<(), Error> {
        let sequence = 1 + self.sequence.fetch_add(1, Ordering::Relaxed);
        let message = OutgoingMessage {
            id: format!("probe-{sequence}"),
            key: None,
            headers: std::collections::BTreeMap::new(),
            payload: vec![b'.'; PAYLOAD].into(),
            sequence,
            not_before: None,
        };
        let publish = Publish { topic: TOPIC.to_owned(), producer: self.producer, messages: vec![message] };
        Context::root("probe").with_timeout(ANSWER_WITHIN).scope(self.messages.publish(publish)).await?;
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Begins until the server says that it has no room; `None` when it does not.
    pub async fn begin_until_full(&self) -> Option<Error> {
        let refused = |_| async { self.begin().await.err().filter(is_full) };
        let mut refusals = Box::pin(stream::repeat(()).map(refused).buffer_unordered(AT_ONCE).filter_map(std::future::ready));
        tokio::time::timeout(FULL_WITHIN, refusals.next()).await.ok().flatten()
    }

    /// Publishes until the server says that it has no room; `None` when it does not.
    pub async fn publish_until_full(&self) -> Option<Error> {
        patiently(FULL_WITHIN, || async { self.publish().await.err().filter(is_full) }).await
    }

    /// Messages that were acknowledged, and those that are stored.
    pub async fn messages(&self) -> (u64, u64) {
        let partitions = until(|| async { self.messages.partitions(TOPIC.to_owned()).await.ok() }).await;
        (self.acknowledged.load(Ordering::Relaxed), partitions.iter().map(|partition| partition.messages).sum())
    }
}

fn is_full(error: &Error) -> bool {
    *error.code() == codes::STORE_FULL
}
