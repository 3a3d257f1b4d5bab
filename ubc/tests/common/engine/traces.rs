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
    id: String,
    /// Its init, as long as that lives.
    pub(crate) init: PathBuf,
    cgroup: PathBuf,
    /// Its number, by which the kernel's programs know it.
    number: u64,
}

impl Before {
    /// Looks at these directories.
    pub(crate) fn of_places(places: &[&Path]) -> Before {
        let seen = |place: &&Path| (place.to_path_buf(), mounts(place));
        Before { mounts: places.iter().map(seen).collect() }
    }

    /// What a container has, while it runs.
    pub(crate) fn of(self, node: &Node, id: &str) -> Traces {
        let shown = node.json(&["show", id, "--json"]);
        let cgroup = cgroup_mount().join(shown["cgroup"].as_str().unwrap());
        let number = cgroup.metadata().unwrap().ino();
        if Path::new(MEMBERS).exists() {
            // Or its absence would say nothing.
            assert!(members().contains(&number), "{} is no member", cgroup.display());
        }
        let init = Path::new("/proc").join(shown["pid"].to_string());
        Traces { before: self, id: id.to_owned(), init, cgroup, number }
    }

    /// Nothing is mounted that was not.
    pub(crate) fn is_again(&self) {
        for (place, before) in &self.mounts {
            wait_until("the end of its mounts", || mounts(place) == *before);
        }
    }
}

impl Traces {
    /// Looks at these directories, and at the daemon's.
    pub(crate) fn before(node: &Node, places: &[&Path]) -> Before {
        Before::of_places(&[places, &[node.dir.path()]].concat())
    }

    /// Nothing is left of it: no mount, no cgroup, none of the kernel's entries, and nothing
    /// that a daemon would go on with.
    pub(crate) fn are_gone(&self, node: &Node) {
        self.before.is_again();
        let cgroup = self.cgroup.display();
        wait_until(&format!("the end of {cgroup}"), || !self.cgroup.exists());
        // Where no hook of the engine tells of the end, the daemon may still be about it.
        wait_until(&format!("the end of the member {cgroup}"), || {
            !members().contains(&self.number)
        });
        let its = |name: &String| name.split('.').next() == Some(&self.id);
        for dir in kept(node) {
            wait_until(&format!("nothing of it in {}", dir.display()), || {
                !names(&dir).iter().any(its)
            });
        }
    }
}

/// Nothing is left that a daemon would go on with, of any container.
pub(crate) fn nothing_is_kept(node: &Node) {
    for dir in kept(node) {
        wait_until(&format!("nothing in {}", dir.display()), || names(&dir).is_empty());
    }
}

/// Where a daemon has files of containers.
fn kept(node: &Node) -> [PathBuf; 2] {
    ["kept", "containers"].map(|name| node.dir.path().join(name))
}

/// What is in a directory; nothing, if there is none.
fn names(dir: &Path) -> Vec<String> {
    let entries = dir.read_dir().into_iter().flatten().map(Result::unwrap);
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The numbers of the cgroups in the kernel's table, if there is one.
fn members() -> Vec<u64> {
    if !Path::new(MEMBERS).exists() {
        return Vec::new();
    }
    let map = MapHandle::from_pinned_path(MEMBERS).unwrap();
    map.keys().map(|key| u64::from_ne_bytes(key.try_into().unwrap())).collect()
}
