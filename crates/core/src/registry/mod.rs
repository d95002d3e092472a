//! Who serves what: instances, versioned lists of them, and the rule by which an instance enters and leaves a list.
//!
//! Read `instance`, then `list` (snapshots, deltas, checksums), then `service_list` (what is evidence, `PROTOCOLS.md` P7).

mod instance;
mod list;
mod service_list;

pub use instance::{BadInstance, Instance, PublicationId, Share};
pub use list::{Change, Delta, Gap, InstanceList, ListVersion};
pub use service_list::{
    CLOSE_WINDOW, Effect, Event, Holder, ORPHAN_LIFE, PROBE_AGAIN, PROBE_PAUSE, PROBES_TO_LEAVE, ServiceList, WITHDRAWN_KEPT,
};
