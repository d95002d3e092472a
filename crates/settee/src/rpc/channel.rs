//! The calling side: discovery -> route -> balance -> retry within a budget -> connection.
//!
//! A call without a deadline gets [`DEFAULT_TIMEOUT`]. One that is made before the first list of instances has come waits for it.
//! It is sent again only when it certainly did not happen, or when its method is declared idempotent (`core::rpc::retry`).

#[cfg(test)]
mod channel_test;
mod endpoint;
mod known;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use settee_core::error::{ErrorKind, codes};
use settee_core::id::Xid;
use settee_core::planted::Bug;
use settee_core::registry::{Instance, InstanceList};
use settee_core::rpc::balance::{Balancer, BalancerKind};
use settee_core::rpc::retry::{MAX_ATTEMPTS, RetryBudget, backoff, may_retry};
use settee_core::{Certainty, Context, Error, Instant, env};
use tokio::sync::watch;

use self::endpoint::Endpoint;
use self::known::{Endpoints, Known, KnownList};
use super::discovery::{Discovery, first_list, is_unheard};
use super::expand;
use super::link::{Outgoing, Received};
use super::reply::{Fault, Refusal, Reply};
use super::service::{Encoding, MethodDescriptor, RouteKey};
use super::updates::{DEFAULT_CREDIT, Updates};
use crate::flow::{Flow, Side, is_trouble};
use crate::trace::Tracer;

/// How long a call may take where neither its context nor its options say; SOFARPC's default.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// Every channel of a process: they share connections. Cheap to clone.
#[derive(Clone)]
pub struct Channels(Arc<Pool>);

struct Pool {
    discovery: Arc<dyn Discovery>,
    tracer: Tracer,
    flow: Flow,
    balancer: BalancerKind,
    endpoints: Endpoints,
}

/// What the channels of a process have in common beyond where they lead.
#[derive(Clone, Default)]
pub struct ChannelOptions {
    /// Whose client rules calls pass first. Default: no rules.
    pub flow: Flow,
    /// What picks an instance for each call; each channel makes one of its own. Default: `p2c`.
    pub balancer: BalancerKind,
}

/// A way to the instances of one service. Cheap to clone; clones share the retry budget.
#[derive(Clone)]
pub struct Channel(Arc<Inner>);

struct Inner {
    service: Arc<str>,
    pool: Arc<Pool>,
    instances: watch::Receiver<Arc<InstanceList>>,
    known: KnownList,
    balancer: Box<dyn Balancer>,
    budget: Mutex<RetryBudget>,
}

/// A client that `#[service]` wrote.
pub trait ServiceClient {
    /// The service's name.
    const SERVICE: &'static str;

    /// A client that calls through `channel`.
    fn remote(channel: Channel) -> Self;
}

/// What one call says beyond its arguments.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Only instances whose share holds this key are asked.
    pub route: Option<RouteKey>,
    /// Only the instance at this address is asked.
    pub instance: Option<SocketAddr>,
    /// The global transaction that the call is a branch of.
    pub xid: Option<Xid>,
    /// How long the call may take; the context's deadline stands where it is sooner.
    pub timeout: Option<Duration>,
}

impl Channels {
    /// Channels to what `discovery` knows, with the default options.
    #[must_use]
    pub fn new(discovery: Arc<dyn Discovery>, tracer: Tracer) -> Self {
        Self::with_options(discovery, tracer, ChannelOptions::default())
    }

    /// Channels to what `discovery` knows.
    #[must_use]
    pub fn with_options(discovery: Arc<dyn Discovery>, tracer: Tracer, options: ChannelOptions) -> Self {
        let ChannelOptions { flow, balancer } = options;
        Self(Arc::new(Pool { discovery, tracer, flow, balancer, endpoints: Endpoints::default() }))
    }

    /// A channel to the instances of `service`.
    #[must_use]
    pub fn channel(&self, service: &str) -> Channel {
        Channel(Arc::new(Inner {
            service: service.into(),
            pool: self.0.clone(),
            instances: self.0.discovery.instances(service),
            known: KnownList::default(),
            balancer: self.0.balancer.make(),
            budget: Mutex::new(RetryBudget::new(Instant::now())),
        }))
    }

    /// A typed client of its service.
    #[must_use]
    pub fn client<C: ServiceClient>(&self) -> C {
        C::remote(self.channel(C::SERVICE))
    }

    /// Closes every connection: calls that are under way end with an unknown outcome.
    pub fn close(&self) {
        for endpoint in self.0.endpoints.held() {
            endpoint.close();
        }
    }
}

impl fmt::Debug for Channels {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_set().entries(self.0.endpoints.held().iter().map(|endpoint| endpoint.address())).finish()
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Channel({})", self.0.service)
    }
}

impl Channel {
    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.0.service
    }

    /// The instances that are known now, and as they change.
    #[must_use]
    pub fn instances(&self) -> watch::Receiver<Arc<InstanceList>> {
        self.0.instances.clone()
    }

    /// Calls a method and waits for its value.
    ///
    /// # Errors
    /// [`Fault::Refused`] when the service said no; [`Fault::Failed`] otherwise, and its certainty says whether it happened. It is
    /// marked as [of a step](Error::of_step): passed on by a handler, it says nothing about the handler.
    ///
    /// # Cancel safety
    /// A call that is dropped may still happen.
    pub async fn call<A, T, R>(&self, method: &MethodDescriptor, arguments: &A, options: CallOptions) -> Reply<T, R>
    where
        A: Serialize + Sync,
        T: DeserializeOwned,
        R: Refusal,
    {
        let reply = self.send(method, arguments, options, 0).await.map_or_else(|error| Err(Fault::Failed(error)), value);
        reply.map_err(|fault| fault.map_failure(Error::of_step))
    }

    /// Calls a method that answers with a stream of updates.
    ///
    /// # Errors
    /// As [`Channel::call`]; what breaks later is told by [`Updates::next`].
    ///
    /// # Cancel safety
    /// A call that is dropped may still happen; its stream is then cancelled.
    pub async fn stream<A, T, R>(&self, method: &MethodDescriptor, arguments: &A, options: CallOptions) -> Reply<Updates<T>, R>
    where
        A: Serialize + Sync,
        T: DeserializeOwned,
        R: Refusal,
    {
        let reply = match self.send(method, arguments, options, DEFAULT_CREDIT).await {
            Ok(Received::Stream(reader)) => Ok(Updates::decoded(reader, expand::decode_reply::<T>)),
            Ok(other) => value::<T, R>(other).and_then(|_| Err(Fault::Failed(no_stream(&self.0.service, method)))),
            Err(error) => Err(Fault::Failed(error)),
        };
        reply.map_err(|fault| fault.map_failure(Error::of_step))
    }

    async fn send<A: Serialize + Sync>(
        &self,
        method: &MethodDescriptor,
        arguments: &A,
        options: CallOptions,
        credit: usize,
    ) -> Result<Received, Error> {
        let body = expand::encode(Encoding::MessagePack, arguments)?;
        let now = Instant::now();
        let context = Context::current().with_timeout_at(now, options.timeout.unwrap_or(DEFAULT_TIMEOUT));
        // A call that its own side refuses is no call: it gets no span and takes nothing from the retry budget.
        let admitted = self.0.pool.flow.admit(Side::Client, &self.0.service, method.name)?;
        let span = self.0.pool.tracer.client(now, &context, &self.0.service, method.name);
        let call = Call { method, body, credit, options, context: span.context(context) };
        let outcome = call.attempts(&self.0, now).await;
        admitted.ended(!matches!(&outcome, Err(error) if is_trouble(error)));
        span.finish(outcome.as_ref().map(Received::outcome));
        outcome
    }
}

impl Inner {
    /// Whether a call may be tried once more after `attempt` tries; takes it from the budget.
    fn has_try_left(&self, attempt: u32) -> bool {
        Bug::RetriesWithoutEnd.is_planted() || (attempt < MAX_ATTEMPTS && self.budget.lock().withdraw(Instant::now()))
    }
}

/// One call with all its tries.
struct Call<'a> {
    method: &'a MethodDescriptor,
    body: Bytes,
    credit: usize,
    options: CallOptions,
    context: Context,
}

impl Call<'_> {
    async fn attempts(&self, channel: &Inner, started: Instant) -> Result<Received, Error> {
        let (mut failed_at, mut may_have_happened, mut now) = (Vec::new(), false, started);
        for attempt in 1.. {
            let error = match self.attempt(channel, now, &mut failed_at).await {
                Ok(received) => return Ok(received),
                Err(error) => error,
            };
            may_have_happened |= error.certainty() != Certainty::NotDone;
            let allowed = may_retry(&error, self.method.idempotent) && !self.context.is_expired();
            if !allowed || !channel.has_try_left(attempt) {
                // A last try that certainly did not happen says nothing about the tries before it.
                let not_done = error.certainty() == Certainty::NotDone;
                return Err(match may_have_happened {
                    true if Bug::CallsUnknownFailed.is_planted() => error.with_certainty(Certainty::NotDone),
                    true if not_done => error.unknown(),
                    _ => error,
                });
            }
            tokio::time::sleep(backoff(attempt + 1, env::random_below)).await;
            now = Instant::now();
        }
        unreachable!("the attempts are bounded")
    }

    async fn attempt(&self, channel: &Inner, now: Instant, failed_at: &mut Vec<SocketAddr>) -> Result<Received, Error> {
        if self.context.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(expired(&channel.service, self.method.name));
        }
        if failed_at.is_empty() {
            channel.budget.lock().deposit(now);
        }
        let mut chosen = self.choose(channel, now, failed_at);
        // A process that has just started would take "not heard of yet" for "nobody".
        if chosen.is_none() && first_list(channel.instances.clone(), self.context.deadline).await {
            chosen = self.choose(channel, Instant::now(), failed_at);
        }
        let endpoint = chosen.ok_or_else(|| self.nobody(channel))?;
        let received = endpoint.call(self.outgoing(channel)).await;
        if received.is_err() {
            failed_at.push(endpoint.address());
        }
        received
    }

    fn outgoing<'b>(&'b self, channel: &'b Inner) -> Outgoing<'b> {
        Outgoing {
            service: &channel.service,
            method: self.method.name,
            oneway: self.method.oneway,
            credit: self.credit,
            xid: self.options.xid,
            context: &self.context,
            body: &self.body,
        }
    }

    /// The instance for the next try: one that holds the key; while others are left, not one that just failed, nor one that
    /// could not be connected to a moment ago, nor one whose connection has its window full.
    fn choose(&self, channel: &Inner, now: Instant, failed_at: &[SocketAddr]) -> Option<Arc<Endpoint>> {
        let list = channel.instances.borrow().clone();
        let known = channel.known.of(&list, &channel.pool.endpoints);
        if let [only] = &*known
            && self.fits(&only.instance)
        {
            // There is nothing to balance, whatever is known of it.
            return Some(only.endpoint.clone());
        }
        let fits: Vec<_> = known.iter().filter(|known| self.fits(&known.instance)).collect();
        let fresh = narrowed(&fits, |known| !failed_at.contains(&known.instance.address));
        let alive = narrowed(&fresh, |known| !known.endpoint.is_avoided(now));
        let chosen_from = narrowed(&alive, |known| !known.endpoint.is_full());
        let candidates: Vec<_> = chosen_from.iter().map(|known| known.endpoint.candidate(known.instance.weight)).collect();
        let pick = channel.balancer.pick(&candidates, &mut env::random_below);
        pick.and_then(|index| chosen_from.get(index)).map(|known| known.endpoint.clone())
    }

    fn fits(&self, instance: &Instance) -> bool {
        let at = self.options.instance.is_none_or(|address| address == instance.address);
        let holds = match (&self.options.route, instance.share) {
            (Some(key), Some(share)) => share.holds(key.as_str()),
            _ => true,
        };
        at && holds
    }

    /// "No instance" with what is known instead: the question that users of every RPC framework ask most.
    fn nobody(&self, channel: &Inner) -> Error {
        let list = channel.instances.borrow().clone();
        let known: Vec<_> = list.instances.iter().map(|instance| describe(instance)).collect();
        let known = match known.as_slice() {
            [] if is_unheard(&list) => "no instance is published as far as is known: no list of them has come yet".to_owned(),
            [] => "no instance is published".to_owned(),
            known => format!("known are {}", known.join(", ")),
        };
        let wanted = match (&self.options.route, self.options.instance) {
            (Some(_), _) => " for its routing key",
            (None, Some(_)) => " at the address asked for",
            (None, None) => "",
        };
        let name = format!("{}.{}", channel.service, self.method.name);
        Error::new(ErrorKind::Unavailable, codes::NO_INSTANCE, format!("call {name}: no instance{wanted}; {known}"))
    }
}

/// Those of `from` that are wanted; all of them if none is.
fn narrowed<'a>(from: &[&'a Known], wanted: impl Fn(&Known) -> bool) -> Vec<&'a Known> {
    let left: Vec<_> = from.iter().copied().filter(|known| wanted(known)).collect();
    if left.is_empty() { from.to_vec() } else { left }
}

fn describe(instance: &Instance) -> String {
    match instance.share {
        Some(share) => format!("{} (share {share})", instance.address),
        None => instance.address.to_string(),
    }
}

fn value<T: DeserializeOwned, R: Refusal>(received: Received) -> Reply<T, R> {
    match received {
        Received::Value(body) => Ok(expand::decode_reply(&body)?),
        Received::Refused { code, body } => Err(Fault::Refused(expand::decode_reply::<R>(&body)?.with_code(code))),
        Received::Stream(_) => Err(Fault::Failed(
            Error::new(ErrorKind::Internal, codes::BAD_REPLY, "read the answer: it is a stream, a value was expected")
                .with_certainty(Certainty::Done),
        )),
    }
}

fn expired(service: &str, method: &str) -> Error {
    Error::new(ErrorKind::DeadlineExceeded, codes::DEADLINE, format!("call {service}.{method}: the deadline has passed"))
}

fn no_stream(service: &str, method: &MethodDescriptor) -> Error {
    let message = format!("call {service}.{}: the answer is a value, a stream was expected", method.name);
    Error::new(ErrorKind::Internal, codes::BAD_REPLY, message).with_certainty(Certainty::Done)
}
