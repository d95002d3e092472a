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

/// How long anything but a transfer may take to succeed: a killed process is back well before that.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

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
}

impl Clients {
    /// Clients of the services that `server` knows, and of the server itself; they work for as long as the application runs.
    pub(crate) async fn connect(server: SocketAddr) -> Result<(Self, Running), Failure> {
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
        };
        Ok((clients, app.start().await?))
    }

    /// Puts the flow rule of the payment service in force, unless it is already.
    pub(crate) async fn limit_transfers(&self) -> Result<(), Failure> {
        let rule = Rule {
            name: "transfers".into(),
            service: "pay.Payment".into(),
            method: Some("transfer".into()),
            side: Side::Server,
            limit: Limit::Concurrency { calls: FLOW_LIMIT },
            mode: Mode::Enforce,
        };
        let put = || async {
            let mut rules = self.flow.rules("payment".into()).await?;
            if rules.rules.contains(&rule) {
                return Ok(());
            }
            rules.rules = vec![rule.clone()];
            self.flow.put("payment".into(), rules).await.map(|_| ())
        };
        repeat(PATIENCE, |_| {}, put).await.map_err(|fault| settee::Error::from(fault).into())
    }
}
