//! What a container has on the machine, beside its processes, and what may be left of it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore as _, MapHandle};

use super::behind::mounts;
use crate::common::{Node, cgroup_mount, wait_until};

/// The cgroups that belong to containers, for the kernel's programs.
const MEMBERS: &str = "/sys/fs/bpf/ubc/maps/ubc_members";

/// The machine before there was a container.
#[derive(Clone)]
pub(crate) struct Before {
    /// Where whatever belongs to the container is mounted, and what else is there.
    mounts: Vec<(PathBuf, Vec<String>)>,
}

/// What there is of one container.
pub(crate) struct Traces {
    before: Before,
    cgroup: PathBuf,
    /// Its number, by which the kernel's programs know it.
    number: u64,
}

impl Traces {
    /// Looks at these directories, and at the daemon's.
    pub(crate) fn before(node: &Node, places: &[&Path]) -> Before {
        let places = places.iter().copied().chain([node.dir.path()]);
        Before { mounts: places.map(|place| (place.to_owned(), mounts(place))).collect() }
    }

    /// Nothing is left of it: no mount, no cgroup, none of the kernel's entries, and nothing
    /// that a daemon would go on with.
    pub(crate) fn are_gone(&self, node: &Node) {
        for (place, before) in &self.before.mounts {
            wait_until("the end of its mounts", || mounts(place) == *before);
        }
        let cgroup = self.cgroup.display();
        wait_until(&format!("the end of {cgroup}"), || !self.cgroup.exists());
        // Where no hook of the engine tells of the end, the daemon may still be about it.
        wait_until(&format!("the end of the member {cgroup}"), || {
            !members().contains(&self.number)
        });
        for name in ["kept", "containers"] {
            let dir = node.dir.path().join(name);
            wait_until(&format!("nothing in {}", dir.display()), || is_empty(&dir));
        }
    }
}

impl Before {
    /// What a container has, while it runs.
    pub(crate) fn of(self, node: &Node, id: &str) -> Traces {
        let shown = node.json(&["show", id, "--json"])["cgroup"].clone();
        let cgroup = cgroup_mount().join(shown.as_str().unwrap());
        let number = cgroup.metadata().unwrap().ino();
        if Path::new(MEMBERS).exists() {
            // Or its absence would say nothing.
            assert!(members().contains(&number), "{} is no member", cgroup.display());
        }
        Traces { before: self, cgroup, number }
    }
}

/// The numbers of the cgroups in the kernel's table, if there is one.
fn members() -> Vec<u64> {
    if !Path::new(MEMBERS).exists() {
        return Vec::new();
    }
    let map = MapHandle::from_pinned_path(MEMBERS).unwrap();
    map.keys().map(|key| u64::from_ne_bytes(key.try_into().unwrap())).collect()
}

/// Whether nothing is in a directory, or there never was any.
fn is_empty(dir: &Path) -> bool {
    dir.read_dir().map_or(true, |mut entries| entries.next().is_none())
}
