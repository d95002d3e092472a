//! Finding services and being found: publications that a process holds, lists that it follows, and the last good list when the
//! registry is away.
//!
//! ```text
//! PublicationGuard --> publisher --publish, withdraw--> settee.Registry --subscribe--> follow --> View --> Discovery
//!                         ^ everything again whenever its stream breaks                  |
//!                                                                                    ListCache (disk)
//! ```
//! Read [`control`] first, then `client`. The rules of evidence are in `settee_core::registry`; who remembers is in the server.

mod cache;
mod client;
pub mod control;
mod follow;
mod publisher;
mod view;

pub use cache::{FolderCache, ListCache};
pub use client::{RegistryClient, RegistryOptions};
pub use publisher::PublicationGuard;
pub use settee_core::registry::{BadInstance, Instance, InstanceList, ListVersion, PublicationId, Share};
