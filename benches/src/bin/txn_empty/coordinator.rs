//! The process that coordinates: engines, shards and the coordinator as `settee server` puts them together, without its listener.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::future::try_join_all;
use settee::Error;
use settee::txn::{Decision, Inquiry, TransactionControl, TransactionControlClient, Transactions, Xid};
use settee_benches::command::runtime;
use settee_benches::peer;
use settee_core::env;
use settee_core::shutdown::{ShutdownTrigger, pair};
use settee_server::Engines;
use settee_server::shard::Shards;
use settee_server::txn::{Config, Coordinator};
use tokio::runtime::Runtime;

use crate::bank::Bank;
use crate::{TURN, UNDER_WAY};

/// Far longer than any transaction here takes.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two looks whether phase two of all has ended.
const LOOK: Duration = Duration::from_millis(1);

/// A coordinator over the engines in one folder.
pub(crate) struct Coordination {
    control: TransactionControlClient,
    transactions: Transactions,
    bank: Bank,
    _stop: ShutdownTrigger,
}

impl Coordination {
    pub(crate) async fn open(place: &Path) -> anyhow::Result<Self> {
        let Engines { kv, .. } = Engines::embedded(place).await?;
        let (stop, stopping) = pair();
        let (shards, bank) = (Shards::open(kv.clone()).await?, Bank::default());
        let coordinator = Coordinator::start(Config::default(), shards, kv, Arc::new(bank.clone()), stopping).await?;
        let control = TransactionControlClient::in_process(Arc::new(coordinator));
        let transactions = Transactions::new(control.clone(), "txn_empty");
        Ok(Self { control, transactions, bank, _stop: stop })
    }

    pub(crate) async fn is_committed(&self, xid: Xid) -> anyhow::Result<bool> {
        let inquiry = self.transactions.ask(xid).await?;
        Ok(matches!(inquiry, Inquiry::Decided(decided) if decided.decision == Decision::Commit))
    }

    /// One transaction, until its decision is durable.
    async fn transact(&self) -> Result<Xid, Error> {
        let transaction = self.transactions.begin("nothing", TIMEOUT);
        let xid = transaction.xid().await?;
        let both = tokio::try_join!(transaction.attempt(&self.bank, ()), transaction.attempt(&self.bank, ()));
        both?;
        transaction.commit().await?;
        Ok(xid)
    }

    /// Keeps many under way for a while, and returns how many a second it were until phase two of the last had ended.
    async fn per_second(self: &Arc<Self>) -> anyhow::Result<f64> {
        let started = Instant::now();
        let count: u64 = self
            .run(move |coordination| async move {
                let mut count = 0;
                while started.elapsed() < TURN {
                    coordination.transact().await?;
                    count += 1;
                }
                Ok(count)
            })
            .await?
            .into_iter()
            .sum();
        while self.control.stats().await.map_err(Error::from)?.open > 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(count as f64 / started.elapsed().as_secs_f64())
    }

    async fn run<T, F>(self: &Arc<Self>, work: impl Fn(Arc<Self>) -> F) -> anyhow::Result<Vec<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let tasks = try_join_all((0..UNDER_WAY).map(|_| env::spawn(work(self.clone())))).await?;
        Ok(tasks.into_iter().collect::<Result<_, _>>()?)
    }
}

/// The part that is measured: answers `run` with transactions a second.
pub(crate) fn measured(told: &[String]) -> anyhow::Result<()> {
    let (runtime, coordination) = opened(told)?;
    peer::say("ready")?;
    peer::serve(|question| (question == "run").then(|| runtime.block_on(coordination.per_second()).map(|rate| rate.to_string())))
}

/// The part that is killed: says each xid as soon as its decision is answered.
pub(crate) fn killed(told: &[String]) -> anyhow::Result<()> {
    let (runtime, coordination) = opened(told)?;
    let forever = coordination.run(|coordination| async move {
        loop {
            let xid = coordination.transact().await?;
            peer::say(xid).map_err(|error| Error::internal(error.into_boxed_dyn_error()))?;
        }
    });
    runtime.block_on(forever).map(|_: Vec<()>| ())
}

fn opened(told: &[String]) -> anyhow::Result<(Runtime, Arc<Coordination>)> {
    let place = told.first().context("the folder is named")?;
    let runtime = runtime()?;
    let coordination = runtime.block_on(Coordination::open(Path::new(place)))?;
    Ok((runtime, Arc::new(coordination)))
}
