//! LXC's `lxc.hook.start-host`: the container's init waits, its root is made.

use std::path::Path;

use clap::ArgMatches;
use ubc_config::Tree;

use crate::error::{Failure, Result};
use crate::paths::RunDir;

/// Reads the container from the environment LXC gives its hooks.
pub(super) fn hook(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    let missing = |name: &str| {
        Failure::usage(format!(
            "{name} is not in the environment or wrong; accepted: the one LXC gives \
             lxc.hook.start-host"
        ))
    };
    let pid = std::env::var("LXC_PID").ok().and_then(|pid| pid.parse::<u32>().ok());
    let pid = pid.filter(|pid| *pid > 0).ok_or_else(|| missing("LXC_PID"))?;
    let name = std::env::var("LXC_NAME").map_err(|_| missing("LXC_NAME"))?;
    crate::needs_root()?;
    let id = name.parse().ok().filter(|id: &ubc_core::ContainerId| !id.is_host());
    let adopt = super::plain(id, name, pid, Path::new("/"));
    super::adopt(run, tree, adopt, &super::Asked::by(matches)).map(drop)
}
