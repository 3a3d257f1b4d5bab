//! OpenVZ's user beancounters as an engine you can embed.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod id;
mod limits;
mod reading;
mod resource;

pub use id::{ContainerId, InvalidContainerId};
pub use limits::{Limits, LimitsError, UNLIMITED};
pub use reading::{Observation, Reading, Row};
pub use resource::{Class, PerResource, Resource, SLOTS, Unit, VISIBLE_SLOTS};
