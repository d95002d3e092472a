//! Serves a `#[tcc]` trait: two methods on the wire, and a sweeper for tries that nobody finished.

use std::fmt;
use std::sync::Arc;

use settee_core::shutdown::Shutdown;

use super::control::{TransactionControl, TransactionControlClient};
use super::drive::{run_attempt, run_phase_two};
use super::protocol::{Attempt, PhaseTwo};
use super::store::LocalStore;
use super::sweep;
use super::tcc::Tcc;
use crate::rpc::service::BoxFuture;
use crate::rpc::{Answer, Incoming, Service, ServiceDescriptor, expand};

/// What an application serves to take part in global transactions.
pub trait Participant: Service {
    /// Asks the coordinator, until the shutdown, about every try whose transaction should have ended.
    fn sweep(self: Arc<Self>, control: TransactionControlClient, shutdown: Shutdown) -> BoxFuture<()>;
}

/// A participant: a handler, and the database in which settee opens, fences and commits its local transactions.
pub struct ParticipantServer<P: Tcc, S> {
    handler: P::Handler,
    store: S,
}

impl<P: Tcc, S: LocalStore<Tx = P::Tx>> ParticipantServer<P, S> {
    /// Serves `handler`, whose business rows are in `store`.
    pub fn new(handler: P::Handler, store: S) -> Self {
        Self { handler, store }
    }

    /// The handler.
    pub fn handler(&self) -> &P::Handler {
        &self.handler
    }

    /// The database.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// Asks once about every overdue try, and carries out what was decided. Returns how many tries ended.
    ///
    /// # Cancel safety
    /// What ended before stays so, and asking again is safe.
    pub async fn sweep_once<C: TransactionControl>(&self, control: &C) -> usize {
        sweep::pass::<P, S, C>(&self.store, &self.handler, control).await
    }
}

impl<P: Tcc, S> fmt::Debug for ParticipantServer<P, S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "ParticipantServer({})", P::DESCRIPTOR.name)
    }
}

impl<P: Tcc, S: LocalStore<Tx = P::Tx>> Service for ParticipantServer<P, S> {
    fn descriptor(&self) -> &'static ServiceDescriptor {
        P::DESCRIPTOR
    }

    fn call(self: Arc<Self>, method: usize, incoming: Incoming) -> BoxFuture<Answer> {
        match method {
            0 => Box::pin(async move {
                match expand::arguments::<Attempt<P::Order>>(&incoming) {
                    Ok(attempt) => {
                        expand::answer(incoming.encoding, run_attempt::<P, S>(&self.store, &self.handler, attempt).await)
                    }
                    Err(answer) => answer,
                }
            }),
            _phase_two => Box::pin(async move {
                match expand::arguments::<PhaseTwo>(&incoming) {
                    Ok(phase_two) => {
                        expand::answer(incoming.encoding, run_phase_two::<P, S>(&self.store, &self.handler, &phase_two).await)
                    }
                    Err(answer) => answer,
                }
            }),
        }
    }
}

impl<P: Tcc, S: LocalStore<Tx = P::Tx>> Participant for ParticipantServer<P, S> {
    fn sweep(self: Arc<Self>, control: TransactionControlClient, shutdown: Shutdown) -> BoxFuture<()> {
        Box::pin(async move {
            let mut ticks = tokio::time::interval(sweep::SWEEP_EVERY);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while shutdown.or(ticks.tick()).await.is_some() {
                shutdown.or(self.sweep_once(&control)).await;
            }
        })
    }
}
