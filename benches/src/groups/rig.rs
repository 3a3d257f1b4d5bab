//! Containers to measure in: those of the tests.

#[path = "../../../ubc-cgroup/tests/common/mod.rs"]
mod cgroups;
#[path = "../../../ubc-procfs/tests/common/container.rs"]
mod namespaces;

pub(super) use cgroups::counted::Installed;
pub(super) use cgroups::{Actor, Container};
pub(super) use namespaces::Container as Namespaces;
