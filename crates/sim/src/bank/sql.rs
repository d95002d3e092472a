//! The faults of a seed at every statement and commit of the services' databases.

use std::sync::Arc;

use settee_sqlx::{CommitFault, DatabaseOptions, SqlFaults, StatementFault};

use crate::faults::Fault;
use crate::world::World;

/// Connections that read: two are enough to let reads overtake each other.
const READERS: usize = 2;

struct Faulty(World);

impl SqlFaults for Faulty {
    fn before_statement(&self) -> Option<StatementFault> {
        let strikes = |fault| self.0.strikes(fault);
        match () {
            () if strikes(Fault::SqlBusy) => Some(StatementFault::Busy),
            () if strikes(Fault::SqlFailed) => Some(StatementFault::Failed),
            () if strikes(Fault::SqlUnknown) => Some(StatementFault::Unknown),
            () => None,
        }
    }

    fn at_commit(&self) -> Option<CommitFault> {
        if self.0.strikes(Fault::SqlFailed) {
            return Some(CommitFault::NotDone);
        }
        let unknown = || if self.0.faults().detail(2) == 0 { CommitFault::DoneUnknown } else { CommitFault::LostUnknown };
        self.0.strikes(Fault::SqlUnknown).then(unknown)
    }
}

/// How the services of `world` open their databases.
pub(super) fn options(world: &World) -> DatabaseOptions {
    DatabaseOptions { readers: READERS, faults: Some(Arc::new(Faulty(world.clone()))), ..DatabaseOptions::default() }
}
