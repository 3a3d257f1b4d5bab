//! `/proc/user_beancounters` for containers: the texts, a FUSE view of them, and
//! its delivery into a container's own /proc.
//!
//! Modern procfs has no such file and no way to make one, unless a kernel module
//! does: then the view is mounted onto the name. Otherwise it takes the place of
//! the container's whole /proc directory: the names it adds are its own,
//! everything else leads into the container's native procfs. [`ProcView`] picks
//! the way. [`PlainView`] is the same without /proc, for a directory of the host.
//!
//! The crate asks a [`Source`] for its numbers and does not measure anything.
//! It does not decide who may be attached to what, and it keeps no list of
//! containers. Reading and writing the texts ([`text`]) needs neither Linux nor
//! root:
//!
//! ```
//! use ubc_core::{ContainerId, PerResource, Reading, Resource};
//! use ubc_procfs::text::{layout::File, parse, table};
//!
//! let reading = Reading { id: ContainerId::new(101)?, rows: PerResource::default() };
//! let mut file = Vec::new();
//! table::write_user_beancounters([&reading], &mut file);
//! let read = parse::strict(&file, File::UserBeancounters, parse::Bounds::default())?;
//! assert_eq!(read.block(reading.id).unwrap().rows[Resource::NumProc].unwrap().held, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod error;
mod mount;
mod process;
mod session;
mod source;
pub mod text;
mod view;

pub use error::AttachError;
pub use mount::{
    INSIDE, Inherited, Keep, Meminfo, Part, Place, PlainView, ProcView, ViewState, Way,
};
pub use process::ContainerProcess;
pub use session::Device;
pub use source::Source;
pub use view::{Owner, View};
