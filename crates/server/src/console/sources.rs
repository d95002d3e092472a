//! What the console asks: the control services of this server, in process, each question within its time.

use std::sync::Arc;
use std::time::Duration;

use settee::job::control::{JobView, ListRuns, RunView};
use settee::job::{JobControl, JobControlClient};
use settee::mq::control::{PartitionView, TopicView};
use settee::mq::{MessageControl, MessageControlClient};
use settee::registry::control::{RegistryControl, RegistryControlClient, ServiceView};
use settee::rpc::Reply;
use settee::trace::control::{TraceControl, TraceControlClient, TraceStats, TraceSummary};
use settee::trace::{SpanRecord, TraceId};
use settee::txn::{
    ListTransactions, TransactionControl, TransactionControlClient, TransactionPage, TransactionStats, TransactionView, Xid,
};
use settee_core::Error;
use settee_core::error::{ErrorKind, codes};

/// How long one question may take. A store that hangs must show as such, and not as a page that never comes.
const PATIENCE: Duration = Duration::from_secs(2);

/// An answer, or why there is none.
pub(super) type Asked<T> = Result<T, Error>;

/// Whether a service, or a call to one, is settee's own: people look for theirs.
pub(super) fn is_own(name: &str) -> bool {
    name.starts_with("settee.")
}

/// The control services that the console reads.
#[derive(Clone, Debug)]
pub struct Sources {
    registry: RegistryControlClient,
    transactions: TransactionControlClient,
    messages: MessageControlClient,
    jobs: JobControlClient,
    traces: TraceControlClient,
}

impl Sources {
    /// The services of one process.
    #[must_use]
    pub fn in_process(
        registry: impl RegistryControl,
        transactions: impl TransactionControl,
        messages: impl MessageControl,
        jobs: impl JobControl,
        traces: impl TraceControl,
    ) -> Self {
        Self {
            registry: RegistryControlClient::in_process(Arc::new(registry)),
            transactions: TransactionControlClient::in_process(Arc::new(transactions)),
            messages: MessageControlClient::in_process(Arc::new(messages)),
            jobs: JobControlClient::in_process(Arc::new(jobs)),
            traces: TraceControlClient::in_process(Arc::new(traces)),
        }
    }

    pub(super) async fn services(&self) -> Asked<Vec<ServiceView>> {
        answer("list services", self.registry.services()).await
    }

    pub(super) async fn transaction_stats(&self) -> Asked<TransactionStats> {
        answer("count transactions", self.transactions.stats()).await
    }

    pub(super) async fn transactions(&self, list: ListTransactions) -> Asked<TransactionPage> {
        answer("list transactions", self.transactions.list(list)).await
    }

    pub(super) async fn transaction(&self, xid: Xid) -> Asked<TransactionView> {
        answer("show a transaction", self.transactions.show(xid)).await
    }

    pub(super) async fn topics(&self) -> Asked<Vec<TopicView>> {
        answer("list topics", self.messages.topics()).await
    }

    pub(super) async fn partitions(&self, topic: &str) -> Asked<Vec<PartitionView>> {
        answer("list partitions", self.messages.partitions(topic.to_owned())).await
    }

    pub(super) async fn jobs(&self) -> Asked<Vec<JobView>> {
        answer("list jobs", self.jobs.jobs()).await
    }

    pub(super) async fn runs(&self, job: &str, limit: u32) -> Asked<Vec<RunView>> {
        answer("list runs", self.jobs.runs(ListRuns { job: job.to_owned(), limit })).await
    }

    pub(super) async fn trace_stats(&self) -> Asked<TraceStats> {
        answer("count traces", self.traces.stats()).await
    }

    pub(super) async fn traces(&self, limit: u32) -> Asked<Vec<TraceSummary>> {
        answer("list traces", self.traces.recent(limit)).await
    }

    pub(super) async fn trace(&self, trace: TraceId) -> Asked<Vec<SpanRecord>> {
        answer("show a trace", self.traces.show(trace)).await
    }
}

async fn answer<T>(what: &str, call: impl Future<Output = Reply<T>>) -> Asked<T> {
    match tokio::time::timeout(PATIENCE, call).await {
        Ok(reply) => reply.map_err(Error::from),
        Err(_) => {
            let message = format!("{what}: no answer within {PATIENCE:?}; the store may hang, the log says more");
            Err(Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, message))
        }
    }
}
