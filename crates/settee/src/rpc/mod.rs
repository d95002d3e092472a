//! Typed calls between services.
//!
//! A trait under [`service`](macro@crate::service) is at once a server, a client, an in-process caller and a JSON endpoint:
//!
//! ```text
//! caller -> XClient -> Channel -> (instances, route, balance, retry) -> Link ==Bolt==> Link -> column of layers -> Service
//!                \-> in process: straight to the implementation
//! ```
//!
//! Read [`reply`] first, then [`service`](mod@service), [`link`], [`listener`], [`channel`].

pub mod reply;
pub mod updates;
pub mod session;
pub mod service;
#[doc(hidden)]
pub mod expand;
mod header;
mod link;
mod stream;
mod server;
mod http;
pub mod listener;
pub mod discovery;
pub mod channel;

pub use channel::{CallOptions, Channel, Channels, ServiceClient};
pub use discovery::{Discovery, StaticInstances};
pub use http::{HttpAnswer, HttpPages};
pub use listener::{Listening, ServerConfig};
pub use reply::{Fault, Never, Refusal, Reply, refuse};
pub use server::{Filter, Incoming, Next, Services};
pub use service::{Answer, Encoding, MethodDescriptor, RouteKey, Service, ServiceDescriptor};
pub use session::{Session, SessionId};
pub use updates::{UpdateSender, Updates, updates};

#[cfg(test)]
mod rpc_test;
