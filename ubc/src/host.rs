//! This machine, as the command and the daemon look at it.

use ubc_cgroup::{Error, Host};
pub(crate) use ubc_node::{CGROUP, Claims};

use crate::error::{Failure, Kind, Result};

/// Finds out what this machine can do.
pub(crate) fn probe() -> Result<Host> {
    Host::probe().map_err(|error| {
        let kind = match error {
            Error::NotRoot { .. } => Kind::NoPermission,
            _ => Kind::Unavailable,
        };
        Failure::new(kind, error)
    })
}
