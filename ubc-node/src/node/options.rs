//! How a node is opened.

use std::path::PathBuf;
use std::sync::Arc;

use ubc_cgroup::ubc_bpf::DEFAULT_ROOT;
use ubc_core::ContainerId;

use crate::kept::{Holder, Keeper};

/// The cgroup below which every container that is made here gets its own,
/// unless told otherwise.
pub const CGROUP: &str = "ubc";

/// Told when containers end. Called on the thread that noticed; what it does
/// holds that thread up.
pub trait Lifecycle: Send + Sync {
    /// All of a container is gone, and its id is not free yet.
    fn ending(&self, id: ContainerId) {
        let _ = id;
    }

    /// The id is free again.
    fn ended(&self, id: ContainerId) {
        let _ = id;
    }
}

/// How [`Node::open`](crate::Node::open) opens a node.
#[derive(Clone)]
pub struct Options {
    pub(super) cgroup: String,
    pub(super) programs_root: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) tested: bool,
    pub(super) lifecycle: Option<Arc<dyn Lifecycle>>,
    pub(super) keeper: Option<Arc<Keeper>>,
    pub(super) all_or_none: bool,
}

impl Default for Options {
    /// Programs where the daemon has them too, containers below the cgroup
    /// [`CGROUP`], and nothing kept on disk.
    fn default() -> Options {
        Options {
            cgroup: CGROUP.to_owned(),
            programs_root: Some(DEFAULT_ROOT.into()),
            state: None,
            tested: true,
            lifecycle: None,
            keeper: None,
            all_or_none: false,
        }
    }
}

impl Options {
    /// Below which cgroup [`Node::create`](crate::Node::create) makes those of
    /// containers, by its path below the cgroup2 mount.
    #[must_use]
    pub fn cgroup(self, cgroup: &str) -> Options {
        Options { cgroup: cgroup.to_owned(), ..self }
    }

    /// The directory, on a bpf file system, where the kernel's programs stay.
    /// Two directories hold two sets of programs that do not know of each other
    /// and both cost their time.
    #[must_use]
    pub fn programs_root(self, root: impl Into<PathBuf>) -> Options {
        Options { programs_root: Some(root.into()), ..self }
    }

    /// Does without programs: limits are those of cgroup controllers, and
    /// nothing is told of refusals.
    #[must_use]
    pub fn without_programs(self) -> Options {
        Options { programs_root: None, ..self }
    }

    /// Believes what the kernel's files say of controllers, rather than have a
    /// refusal of each provoked: for a process that lives as long as one call of
    /// a runtime. Their rows are marked untested.
    #[must_use]
    pub fn without_tests(self) -> Options {
        Options { tested: false, ..self }
    }

    /// The directory where ids that were chosen for names are kept, by one node
    /// at a time. It is made when needed. Without it a name has the same id as
    /// long as the node.
    #[must_use]
    pub fn state(self, dir: impl Into<PathBuf>) -> Options {
        Options { state: Some(dir.into()), ..self }
    }

    /// Outlives this process: what a successor needs is kept in this directory,
    /// by one node at a time and until the next boot, and descriptors by the
    /// holder. [`Node::resume`](crate::Node::resume) goes on with it.
    #[must_use]
    pub fn kept(self, dir: impl Into<PathBuf>, holder: Arc<dyn Holder>) -> Options {
        Options { keeper: Some(Arc::new(Keeper::new(dir.into(), holder))), ..self }
    }

    /// Fails rather than go on with less than a predecessor had, where that is for want of
    /// something that may come back (memory, descriptors, a disk that answers):
    /// [`Node::open`](crate::Node::open) if the kernel's programs cannot be taken over,
    /// [`Node::resume`](crate::Node::resume) if a container cannot be gone on with. For a process
    /// that is started again then. It has to end at once, as if it were killed: so all stays for
    /// the next one.
    #[must_use]
    pub fn all_or_none(self) -> Options {
        Options { all_or_none: true, ..self }
    }

    /// Whom to tell of the ends of containers.
    #[must_use]
    pub fn lifecycle(self, lifecycle: Arc<dyn Lifecycle>) -> Options {
        Options { lifecycle: Some(lifecycle), ..self }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("cgroup", &self.cgroup)
            .field("programs_root", &self.programs_root)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
