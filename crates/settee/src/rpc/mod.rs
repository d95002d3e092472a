//! Typed calls between services.
//!
//! A trait under [`service`](macro@crate::service) is at once a server, a client, an in-process caller and a JSON endpoint:
//!
//! ```text
//! caller -> XClient -> Channel -> (instances, route, balance, retry) -> Link ==Bolt==> Link -> column of layers -> Service
//!                \-> in process: straight to the implementation
//! ```
//!
//! Read [`reply`] first, then [`service`](mod@service), the private `link`, [`listener`] and [`channel`].

pub mod channel;
pub mod discovery;
#[doc(hidden)]
pub mod expand;
mod header;
mod host;
mod http;
mod link;
pub mod listener;
mod page;
mod pages;
pub mod reply;
mod server;
pub mod service;
pub mod session;
mod stream;
pub mod updates;

pub use channel::{CallOptions, Channel, ChannelOptions, Channels, ServiceClient};
pub use discovery::{Discovery, StaticInstances};
#[doc(hidden)]
pub use header::{ContextReader, write_context};
pub use host::AllowedHosts;
pub use listener::{Listening, ServerConfig};
pub use page::Page;
pub(crate) use page::Whole;
pub use pages::{HttpAnswer, HttpPages, PageRequest};
pub use reply::{Fault, Never, Refusal, Reply, refuse};
pub use server::{Filter, Incoming, Next, Services};
pub use service::{Answer, Encoding, MethodDescriptor, RouteKey, Service, ServiceDescriptor};
pub use session::{Session, SessionId};
pub use settee_core::rpc::balance::BalancerKind;
pub use updates::{UpdateSender, Updates, updates};

#[cfg(test)]
mod handler_test;
#[cfg(test)]
mod rpc_test;
