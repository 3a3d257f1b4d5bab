//! What the daemon does when a container has ended.

use std::sync::Arc;

use log::warn;
use ubc_core::ContainerId;
use ubc_node::{Bell, Lifecycle};

use crate::paths::RunDir;

/// The directories of the containers of `ubc run`, and the bell that wakes the
/// main loop: the daemon may be idle now.
pub(super) struct Homes {
    run: RunDir,
    bell: Arc<Bell>,
}

impl Homes {
    pub(super) fn new(run: RunDir, bell: Arc<Bell>) -> Homes {
        Homes { run, bell }
    }
}

impl Lifecycle for Homes {
    fn ending(&self, id: ContainerId) {
        let home = self.run.container(id);
        if let Err(error) = std::fs::remove_dir_all(&home)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            warn!("cannot remove {}: {error}", home.display());
        }
    }

    fn ended(&self, _: ContainerId) {
        self.bell.ring();
    }
}
