//! What the listener dispatches to: a [`Service`] is a name, a list of methods, and one function that runs a method.
//!
//! [`service`](macro@crate::service) writes the implementation; write one by hand for a service that is known only at run time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use settee_core::Error;

use super::server::Incoming;
use super::stream::StreamSource;

/// A future that a service returns: boxed once a call.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A service as it is known on the wire.
#[derive(Debug)]
pub struct ServiceDescriptor {
    /// The name, such as `pay.Account`.
    pub name: &'static str,
    /// Its methods, in the order of the trait.
    pub methods: &'static [MethodDescriptor],
}

impl ServiceDescriptor {
    /// The index of the method called `name`.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<usize> {
        self.methods.iter().position(|method| method.name == name)
    }
}

/// A method as it is known on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodDescriptor {
    /// The name, such as `balance`.
    pub name: &'static str,
    /// Whether it may be sent again after it may have run.
    pub idempotent: bool,
    /// Whether nothing is answered, not even failures.
    pub oneway: bool,
    /// Whether it uses so much processor time that it gets a task of its own.
    pub spawn: bool,
}

impl MethodDescriptor {
    /// A method that answers, is not idempotent and runs on its connection's task.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self { name, idempotent: false, oneway: false, spawn: false }
    }
}

/// Serves calls of one service name.
pub trait Service: Send + Sync + 'static {
    /// The name and the methods.
    fn descriptor(&self) -> &'static ServiceDescriptor;

    /// Runs the method with this index of the descriptor. The ambient context and session are set.
    fn call(self: Arc<Self>, method: usize, incoming: Incoming) -> BoxFuture<Answer>;
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// MessagePack with named fields, between settee peers.
    MessagePack,
    /// JSON, at `POST /rpc/<service>/<method>`.
    Json,
}

/// What a method answered, encoded.
#[derive(Debug)]
pub enum Answer {
    /// A value.
    Value(Bytes),
    /// A business "no": its code and its value.
    Refused {
        /// The refusal's code.
        code: String,
        /// The refusal, encoded.
        body: Bytes,
    },
    /// A failure.
    Failed(Error),
    /// A stream of updates.
    Stream(StreamSource),
}

/// The part of a call's arguments that decides where it goes, such as an account number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteKey(Box<str>);

impl RouteKey {
    /// The key of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The key that `value` reads as.
    #[must_use]
    pub fn of(value: &impl ToString) -> Self {
        Self(value.to_string().into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
