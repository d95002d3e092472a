//! What `#[tcc]` makes of a trait: [`Tcc`] for the participant that serves it, [`TccClient`] for those who call it.

use std::fmt;
use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::protocol::{Attempt, Attempted};
use super::store::LocalTx;
use crate::rpc::{CallOptions, Refusal, Reply, RouteKey, ServiceDescriptor};

/// The participant's side of a `#[tcc]` trait; written by the macro.
///
/// Every function runs inside a local transaction that settee opened, fenced, and will commit or roll back. Effects outside of
/// it, such as calls to other services, are not undone by a roll-back.
pub trait Tcc: Send + Sync + 'static {
    /// The name and the [`METHODS`](super::METHODS).
    const DESCRIPTOR: &'static ServiceDescriptor;

    /// Who implements the `#[tcc]` trait.
    type Handler: Send + Sync + 'static;
    /// The local transaction that it works in.
    type Tx: LocalTx;
    /// What is tried.
    type Order: Payload;
    /// What a try holds.
    type Hold: Payload;
    /// Why a try may be refused.
    type Refusal: Refusal;

    /// Phase one: checks, and holds.
    fn attempt(
        handler: &Self::Handler,
        tx: &mut Self::Tx,
        order: &Self::Order,
    ) -> impl Future<Output = Reply<Self::Hold, Self::Refusal>> + Send;

    /// Phase two of COMMIT: uses what is held. There is no business "no" any more.
    fn confirm(
        handler: &Self::Handler,
        tx: &mut Self::Tx,
        order: &Self::Order,
        hold: &Self::Hold,
    ) -> impl Future<Output = Reply<()>> + Send;

    /// Phase two of ABORT: releases what is held. Never called for a try that did not happen.
    fn cancel(
        handler: &Self::Handler,
        tx: &mut Self::Tx,
        order: &Self::Order,
        hold: &Self::Hold,
    ) -> impl Future<Output = Reply<()>> + Send;
}

/// The caller's side of a `#[tcc]` trait; written by the macro, or by hand as a mock.
pub trait TccClient: Send + Sync {
    /// What is tried.
    type Order: Payload;
    /// What a try holds.
    type Hold: Payload;
    /// Why a try may be refused.
    type Refusal: Refusal;

    /// The service's name: the coordinator sends phase two to it.
    fn service(&self) -> &'static str;

    /// The part of the order that decides which instances hold its data; phase two goes there too. `None`: any instance.
    fn route(&self, order: &Self::Order) -> Option<RouteKey>;

    /// Sends phase one.
    ///
    /// # Errors
    /// The refusal, or a failure whose certainty says whether the try may have happened.
    fn attempt(
        &self,
        attempt: &Attempt<Self::Order>,
        options: CallOptions,
    ) -> impl Future<Output = Reply<Attempted<Self::Hold>, Self::Refusal>> + Send;
}

/// What crosses the wire and is kept in the fence row.
pub trait Payload: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {}

impl<T: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static> Payload for T {}
