//! OpenVZ's user beancounters as an engine you can embed.
//!
//! Twenty-one resources per container are charged and given back. A charge
//! that would pass the barrier or the limit is refused on the spot, with the
//! reason, and counted; what was held, the most that was ever held and how
//! often something was refused can be read at any time. The rules are those
//! of the OpenVZ kernels (042stab), to the comparison.
//!
//! ```
//! use ubc_core::{ContainerId, Limits, Registry, Resource, Severity};
//!
//! let registry = Registry::new();
//! let container = registry.create(ContainerId::new(101)?)?;
//! container.set_limits(Resource::NumProc, Limits::new(2, 2)?)?;
//!
//! let init = container.charge(Resource::NumProc, 1, Severity::Hard)?;
//! let shell = container.charge(Resource::NumProc, 1, Severity::Hard)?;
//! let refused = container.charge(Resource::NumProc, 1, Severity::Hard).unwrap_err();
//! assert_eq!(
//!     refused.to_string(),
//!     "numproc: hard charge of 1 refused by 101: held 2, barrier 2, limit 2"
//! );
//! drop(shell); // gives its unit back, to the container it was taken from
//! let row = container.row(Resource::NumProc);
//! assert_eq!((row.held, row.maxheld, row.failcnt), (1, 2, 1));
//! # drop(init);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # What it does
//!
//! - [`Registry`]: beancounters by id, with OpenVZ's lifetime.
//! - [`Beancounter`]: limits, charges up a hierarchy, readings, periods.
//! - [`Charge`] and [`ChargeSet`]: guards, all or nothing, that can be split
//!   and moved; `charge_raw`, `uncharge` and `transfer` for tables of one's own.
//! - [`Stock`]: a reserve of one thread in front of the counters, for those who
//!   charge and give back millions of times a second.
//! - [`Beancounter::observe`]: rows that the kernel counts instead.
//! - [`Snapshot`]: the state as data, validated before it is restored.
//! - [`Counter`]: one counter alone, for what OpenVZ did not count.
//! - Arithmetic over readings and configurations, without state: guarantees
//!   ([`guarantee`]), the order of out-of-memory kills ([`oom`]), pages shared
//!   among containers ([`shares`]), consistency of a configuration ([`rules`]),
//!   VSwap's implied limits ([`vswap`]) and OpenVZ's sample configurations
//!   ([`profiles`]).
//!
//! # What it does not do
//!
//! No I/O and, but for `membarrier`, no system calls: it neither measures a container nor enforces
//! anything on one. It refuses what it is asked, and acts on nothing else.
//! It prints and parses no file formats. It keeps no reserve that nobody asked
//! for: `held` is exact always, `maxheld` where no [`Stock`] is used (042stab's
//! per-CPU reserve made its own inexact).
//!
//! # Features
//!
//! - `std` (default): locks that sleep. Without it the crate is `no_std` with
//!   `alloc`, and its locks spin. Charging takes none either way.
//! - `membarrier`: a [`Stock`] without a fence of its own, where Linux has
//!   `membarrier(2)`. The one system call of this crate, and never on the path
//!   of a charge that is accepted.
//! - `serde`: snapshots, limits, rows and ids as serde types.
//!
//! The design, its invariants and the memory orderings are in
//! `docs/engine.md`.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(all(test, not(feature = "std")))]
extern crate std;

mod beancounter;
mod charge;
mod charge_set;
mod counter;
mod defaults;
mod error;
pub mod guarantee;
mod id;
mod limits;
mod observe;
pub mod oom;
mod page;
pub mod profiles;
mod reading;
mod registry;
mod resource;
pub mod rules;
mod severity;
pub mod shares;
mod snapshot;
mod stock;
mod sync;
mod threshold;
mod ub_id;
pub mod vswap;

pub use beancounter::{Beancounter, TooDeep};
pub use charge::Charge;
pub use charge_set::ChargeSet;
pub use counter::{Counter, Denied, Shortfall, Source};
pub use defaults::Defaults;
pub use error::{ChargeError, Refusal, SetLimitsError, TransferError, Underflow};
pub use id::{ContainerId, InvalidContainerId};
pub use limits::{Limits, LimitsError, UNLIMITED};
pub use observe::{Baseline, ObserveError};
pub use page::{InvalidPageSize, PageSize};
pub use reading::{Observation, Reading, Row};
pub use registry::{Registry, RegistryError, Removal};
pub use resource::{Class, PerResource, Resource, SLOTS, Unit, VISIBLE_SLOTS};
pub use severity::{Ask, Severity};
pub use snapshot::{Restore, RowError, SavedBeancounter, SavedResource, Snapshot, SnapshotError};
pub use stock::{Stock, StockCharge};
pub use ub_id::{InvalidUbId, UbId};

/// The example of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
