//! Everything that the driver of the demo talks to. It is an application of its own, so that traces begin with it.

use std::net::SocketAddr;
use std::time::Duration;

use settee::app::{App, Running};
use settee::config::Settings;
use settee::flow::control::{FlowControl, FlowControlClient};
use settee::flow::{Limit, Mode, Rule, Side};
use settee::job::JobControlClient;
use settee::mq::MessageControlClient;
use settee::trace::control::TraceControlClient;
use settee::txn::TransactionControlClient;
use settee_payments::api::{AccountClient, NotifyClient, PaymentClient};

use super::repeat::repeat;
use crate::failure::Failure;

/// Transfers that the payment service takes at a time: as many as the demo has under way by default.
const FLOW_LIMIT: u32 = 64;

/// The clients of one demo.
#[derive(Clone)]
pub(crate) struct Clients {
    pub(crate) account: AccountClient,
    pub(crate) payment: PaymentClient,
    pub(crate) notify: NotifyClient,
    pub(crate) transactions: TransactionControlClient,
    pub(crate) messages: MessageControlClient,
    pub(crate) jobs: JobControlClient,
    pub(crate) traces: TraceControlClient,
    flow: FlowControlClient,
    /// How long anything but a transfer may take to succeed: a killed process is back well before that.
    pub(crate) patience: Duration,
}

impl Clients {
    /// Clients of the services that `server` knows, and of the server itself; they work for as long as the application runs.
    pub(crate) async fn connect(server: SocketAddr, patience: Duration) -> Result<(Self, Running), Failure> {
        let app = App::new("demo", Settings { server, ..Settings::default() })?;
        let clients = Self {
            account: app.client(),
            payment: app.client(),
            notify: app.client(),
            transactions: app.control(),
            messages: app.control(),
            jobs: app.control(),
            traces: app.control(),
            flow: app.control(),
            patience,
        };
        Ok((clients, app.start().await?))
    }

    /// Puts the flow rules of the payment service in force, unless they are already.
    pub(crate) async fn limit_transfers(&self, rate: Option<u32>) -> Result<(), Failure> {
        let wanted = limits(rate);
        let put = || async {
            let mut rules = self.flow.rules("payment".into()).await?;
            if rules.rules == wanted {
                return Ok(());
            }
            rules.rules.clone_from(&wanted);
            self.flow.put("payment".into(), rules).await.map(|_| ())
        };
        repeat(self.patience, |_| {}, put).await.map_err(|fault| settee::Error::from(fault).into())
    }
}

/// As many transfers at a time as the demo has under way; and as many a second as somebody asked for.
fn limits(rate: Option<u32>) -> Vec<Rule> {
    let rule = |name: &str, limit| Rule {
        name: name.into(),
        service: "pay.Payment".into(),
        method: Some("transfer".into()),
        side: Side::Server,
        limit,
        mode: Mode::Enforce,
    };
    let concurrency = rule("transfers", Limit::Concurrency { calls: FLOW_LIMIT });
    // A burst of one: not even the first second takes more.
    let rate = rate.map(|calls| rule("transfers-a-second", Limit::Rate { calls, period_ms: 1_000, burst: 1 }));
    std::iter::once(concurrency).chain(rate).collect()
}
