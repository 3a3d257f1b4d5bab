//! Refusal in the kernel, for what cgroup controllers cannot limit.
//!
//! [`Enforcer::open`] attaches programs where the kernel asks its security
//! modules, and where it frees what was allowed there. They count per
//! container and refuse at the barrier or the limit, at the call, with
//! OpenVZ's errno. Programs, limits and counts stay in the kernel when the
//! process ends; the next one takes them over.
//!
//! ```no_run
//! use std::os::fd::AsFd as _;
//! use ubc_bpf::{Enforcer, Options};
//! use ubc_core::{Limits, PerResource, Resource};
//!
//! let enforcer = Enforcer::open(&Options::default())?;
//! let cgroup = std::fs::File::open("/sys/fs/cgroup/ubc/101")?;
//! let slot = enforcer.add(cgroup.as_fd(), 101, None)?;
//! let mut limits = PerResource::default();
//! limits[Resource::NumFile] = Some(Limits::new(512, 512)?);
//! enforcer.set_limits(slot, &limits)?;
//! println!("{} files open", enforcer.counts(slot)?[Resource::NumFile].held);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A program that attaches may still never run: compilers inline functions,
//! and kernels differ. So [`Enforcer::self_test`] provokes a refusal of every
//! row in a scratch cgroup, and says which rows may be called enforced.
//!
//! What no program counts as it happens an [`Observer`] counts when it is asked,
//! in a pass over the tasks; that works on kernels that let nobody refuse, too.
//!
//! What it does not do: it chooses no limits and prints no file. Needs root and a
//! kernel with type information (BTF); to refuse, one that lets programs modify
//! the return of `security_` functions. Each is tried, and said.
#![deny(unsafe_code)]

mod diagnostics;
mod enforcer;
mod error;
mod events;
mod layout;
mod load;
mod maps;
mod mechanism;
mod modules;
mod networks;
mod observer;
mod place;
mod queues;
mod seeds;
mod selftest;
mod sys;
mod tree;
mod types;

pub use enforcer::{Enforcer, Faults, Options, Slot, Standing};
pub use error::{Error, Result};
pub use events::{Event, Events};
pub use layout::Count;
pub use maps::Sizes;
pub use mechanism::{MECHANISMS, Mechanism};
pub use observer::{
    Files, Look, Memory, Namespace, NamespaceKind, Observer, Sight, Sights, Surroundings, User,
};
pub use place::DEFAULT as DEFAULT_ROOT;
pub use selftest::{Outcome, Verdict};
