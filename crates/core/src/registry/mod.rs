//! Who serves what: instances, the share of a service's routing keys that one holds, and versioned lists of them.

mod instance;

pub use instance::{Instance, InstanceList, ListVersion, PublicationId, Share};
