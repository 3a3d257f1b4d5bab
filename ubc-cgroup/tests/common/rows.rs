//! Limits of rows, and the kernel's files that tell of them.

use ubc_cgroup::{Cgroup, Limiter};
use ubc_core::Resource::{self, SwapPages};
use ubc_core::{Limits, PerResource};

use super::{Container, read};

pub const MIB: u64 = 1 << 20;

/// `hold(MIB)` touches that much more anonymous memory and keeps it.
pub const HOLD: &str = r"
kept = []
def hold(mib):
    area = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    kept.append(area)
    for at in range(0, mib << 20, 4096): area[at] = 1
";

pub fn pages(bytes: u64) -> u64 {
    bytes / rustix::param::page_size() as u64
}

pub fn limit(cgroup: &Cgroup, rows: &[(Resource, u64)]) {
    let mut limits = PerResource::default();
    for (resource, value) in rows {
        limits[*resource] = Some(Limits { barrier: *value, limit: *value });
    }
    let enforced = Limiter::new(cgroup).unwrap().apply(&limits).unwrap();
    for (resource, _) in rows {
        assert!(!enforced[*resource].to_string().contains("observed"), "{resource}");
    }
}

pub fn event(cgroup: &Cgroup, file: &str, key: &str) -> u64 {
    let text = read(cgroup, file);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{file} has no {key}:\n{text}")).parse().unwrap()
}

pub fn number(cgroup: &Cgroup, file: &str) -> u64 {
    read(cgroup, file).parse().unwrap()
}

/// Turns the container's swap off: what is not given back must be refused.
pub fn without_swap(container: &Container, rows: &[(Resource, u64)]) {
    limit(&container.cgroup(), &[rows, &[(SwapPages, 0)]].concat());
}
