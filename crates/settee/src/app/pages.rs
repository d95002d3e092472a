//! The pages of a process: `/health/live`, `/health/ready`, `/info` and `/metrics`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use serde_json::json;
use settee_core::Instant;

use crate::rpc::service::BoxFuture;
use crate::rpc::{Answer, Filter, HttpAnswer, HttpPages, Incoming, Next, PageRequest};

/// What a process counts. There is no global registry: each process, and each test, has its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabels, Histogram>,
    /// What each method counts into, so that a call looks no labels up.
    methods: ArcSwap<Vec<Arc<Counted>>>,
}

/// How a call may end, as the label `outcome` says it.
const OUTCOMES: [&str; 3] = ["success", "refused", "failed"];

/// The counters of one method.
#[derive(Debug)]
struct Counted {
    labels: MethodLabels,
    /// One for each of [`OUTCOMES`], there from the first call that ended so.
    outcomes: [OnceLock<Counter>; OUTCOMES.len()],
    seconds: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    service: &'static str,
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    service: &'static str,
    method: &'static str,
}

impl Metrics {
    /// Counters at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("settee");
        let calls = Family::<CallLabels, Counter>::default();
        registry.register("server_calls", "Calls served, by how they ended", calls.clone());
        let seconds = Family::new_with_constructor(buckets as fn() -> Histogram);
        registry.register("server_call_seconds", "Time from a call's arrival to its answer", seconds.clone());
        Self { registry, calls, seconds, methods: ArcSwap::default() }
    }

    fn counted(&self, service: &'static str, method: &'static str) -> Arc<Counted> {
        // Names of descriptors: the same method has the same text at the same place, and two places count into one series.
        let is_it = |counted: &&Arc<Counted>| {
            std::ptr::eq(counted.labels.service, service) && std::ptr::eq(counted.labels.method, method)
        };
        if let Some(known) = self.methods.load().iter().find(is_it) {
            return known.clone();
        }
        let labels = MethodLabels { service, method };
        let seconds = self.seconds.get_or_create(&labels).clone();
        let counted = Arc::new(Counted { labels, outcomes: Default::default(), seconds });
        self.methods.rcu(|methods| methods.iter().cloned().chain([counted.clone()]).collect::<Vec<_>>());
        counted
    }

    fn count(&self, counted: &Counted, answer: &Answer, seconds: f64) {
        let index = match answer {
            Answer::Value(_) | Answer::Stream(_) => 0,
            Answer::Refused { .. } => 1,
            Answer::Failed(_) => 2,
        };
        let MethodLabels { service, method } = counted.labels;
        let new = || self.calls.get_or_create(&CallLabels { service, method, outcome: OUTCOMES[index] }).clone();
        counted.outcomes[index].get_or_init(new).inc();
        counted.seconds.observe(seconds);
    }

    /// The counters in the Prometheus text format.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let _strings_take_everything = encode(&mut text, &self.registry);
        text
    }
}

/// From 100 us to 26 s: each bucket twice the one before.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 19))
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts every call that is served.
#[derive(Debug)]
pub struct CountCalls(Arc<Metrics>);

impl CountCalls {
    /// Counts into `metrics`.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self(metrics)
    }
}

impl Filter for CountCalls {
    fn call(&self, incoming: Incoming, next: Next) -> BoxFuture<Answer> {
        let (metrics, started) = (self.0.clone(), Instant::now());
        let counted = metrics.counted(incoming.service.name, incoming.descriptor().name);
        Box::pin(async move {
            let answer = next.run(incoming).await;
            metrics.count(&counted, &answer, started.elapsed().as_secs_f64());
            answer
        })
    }
}

/// The pages of one process, before those that it adds itself.
pub struct ProcessPages {
    application: String,
    started: Instant,
    ready: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
    services: Vec<&'static str>,
    others: Arc<dyn HttpPages>,
}

impl ProcessPages {
    /// Pages of `application`, which serves `services`; `others` answers what these do not.
    #[must_use]
    pub fn new(
        application: &str,
        services: Vec<&'static str>,
        ready: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
        others: Arc<dyn HttpPages>,
    ) -> Self {
        Self { application: application.to_owned(), started: Instant::now(), ready, metrics, services, others }
    }

    fn ready(&self) -> HttpAnswer {
        match self.ready.load(Ordering::Acquire) {
            true => text(200, "ready\n"),
            false => text(503, "not ready\n"),
        }
    }

    fn info(&self) -> HttpAnswer {
        let info = json!({
            "application": self.application,
            "version": env!("CARGO_PKG_VERSION"),
            "services": self.services,
            "up_seconds": self.started.elapsed().as_secs(),
        });
        HttpAnswer::new(200, "application/json", info.to_string())
    }

    fn metrics(&self) -> HttpAnswer {
        let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        HttpAnswer::new(200, content_type, self.metrics.text())
    }
}

impl HttpPages for ProcessPages {
    fn get(&self, request: PageRequest<'_>) -> BoxFuture<Option<HttpAnswer>> {
        let answer = match request.path {
            "/health/live" => text(200, "live\n"),
            "/health/ready" => self.ready(),
            "/info" => self.info(),
            "/metrics" => self.metrics(),
            _ => return self.others.get(request),
        };
        Box::pin(std::future::ready(Some(answer)))
    }
}

fn text(status: u16, body: &'static str) -> HttpAnswer {
    HttpAnswer::new(status, "text/plain; charset=utf-8", body)
}
