//! The beancounters of a machine's containers, for whoever makes containers.
//!
//! [`Node::open`] finds out what this machine can do, puts the kernel's
//! programs on duty and tests what it claims. Then a container runtime hands
//! over what it has made ([`Node::adopt`], by cgroup, by process, or both) or
//! has a cgroup made ([`Node::create`]), sets limits and schedule, all or none
//! ([`Container::set`]), reads the rows and who is behind each
//! ([`Container::describe`]), hears of refusals ([`Node::subscribe`]) and lets go
//! again ([`Owned::detach`]): a container that was taken over gets back the
//! limits and the schedule it came with. Putting `/proc/user_beancounters` into
//! a container is a call of its own ([`Container::attach`]).
//!
//! ```no_run
//! use ubc_core::{Limits, Resource};
//! use ubc_node::{Adopt, Node, Options, Wanted};
//!
//! let node = Node::open(Options::default())?;
//! let mut limits = Wanted::default();
//! limits[Resource::NumFile] = Some(Limits::both(512)?);
//! let (container, kept) = node.adopt(&Adopt::cgroup("machine/web").limits(limits))?;
//! for limit in kept {
//!     eprintln!("{limit}");
//! }
//! let told = container.describe()?;
//! let row = told.reading.rows[Resource::NumFile];
//! let status = &told.status[Resource::NumFile];
//! println!("{} of {} files, refused by {}", row.held, row.barrier, status.enforced_by);
//! container.detach()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! **Threads.** Everything here is `Send` and `Sync`. An open node has three
//! threads that sleep until something happens (a container's init ended, memory
//! got scarce, something was refused), and one for each view; they end with the
//! node. A panic of a callback ends the thread it was called on.
//!
//! **What waits.** [`Node::open`] tests the machine: up to seconds, and minutes
//! in an emulated machine, the first time after boot. [`Container::describe`] and
//! [`Container::reading`] look at the whole container, microseconds to some
//! milliseconds, more with tens of thousands of processes.
//! [`Container::set`] waits as long as the kernel reclaims memory for a lower
//! limit. [`Owned::end`] waits up to 10 s for the processes it killed, and so
//! does dropping an [`Owned`] of a container that was made here.
//! [`Container::attach`] with a view starts a thread in the container's mount
//! namespace and waits for it. Nothing else waits; [`Subscription::next`] never
//! does. An async runtime calls these from its pool for blocking work, and
//! polls the descriptors of [`Subscription`].
//!
//! **One machine, one set of programs.** What is in the kernel is shared: a
//! daemon of `ubc` and an embedder use the same programs and tables, and each
//! container is one's or the other's. Each is told of the refusals of its own; those
//! of the daemon's containers come from `ubc watch --json`.
//!
//! What it does not do: it makes no namespaces and runs no program, keeps no
//! configuration, and never touches a cgroup v1 hierarchy. It needs root.
#![forbid(unsafe_code)]

#[cfg(doctest)]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

mod bell;
mod budget;
mod claims;
mod complaint;
mod container;
mod error;
mod kept;
mod names;
mod node;
mod oom;
mod refusals;
mod sources;
mod told;
mod watch;

pub use bell::{Bell, Rung};
pub use claims::Claims;
pub use container::{Container, Origin, Uncovered};
pub use error::{Error, ErrorKind, Result, is_active, one_line};
pub use kept::Holder;
pub use names::remembered;
pub use node::{Adopt, CGROUP, Create, Lifecycle, Node, Options, Owned};
pub use refusals::Subscription;
pub use told::{
    Description, KnobStatus, Refusal, SetBy, Status, Unenforced, ViewStatus, Wanted, shown_knob,
    shown_limits,
};
pub use ubc_cgroup;
pub use ubc_core;
pub use ubc_procfs;
