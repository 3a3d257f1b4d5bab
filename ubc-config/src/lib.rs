//! OpenVZ's configuration files: `/etc/vz/conf/101.conf` and `/etc/vz/vz.conf`.
//!
//! A file is two things here. [`Document`] is its text: every byte is kept, and
//! one assignment can be changed without touching another. [`Config`] is what it
//! means to a container: limits, schedule and the few parameters beside them.
//! [`Tree`] is the directory that has them, and the only part that opens files.
//!
//! ```
//! use ubc_config::{Config, Document};
//! use ubc_core::{Limits, PageSize, Resource};
//!
//! let text = b"# web\nHOSTNAME=\"web\"\nNUMPROC=\"240\"   # enough\n";
//! let mut document = Document::parse(text)?;
//! let read = Config::read(&document, PageSize::DEFAULT)?;
//! assert_eq!(read.config.limits[Resource::NumProc], Some(Limits::both(240)?));
//!
//! let mut change = Config::default();
//! change.limits[Resource::NumProc] = Some(Limits::both(300)?);
//! document.update(&change, PageSize::DEFAULT);
//! assert_eq!(
//!     document.to_bytes(),
//!     b"# web\nHOSTNAME=\"web\"\nNUMPROC=\"300\"   # enough\n"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it does
//!
//! - Reads what vzctl and a shell read: names in capitals, values bare or
//!   quoted. What it does not know it keeps.
//! - Merges a container's file over the global one, and adds what RAM and swap
//!   imply (VSwap).
//! - Writes atomically: a reader, or a machine that loses power, sees the old
//!   file or the new one. Mode and owner stay.
//! - Has OpenVZ's samples ([`sample`]).
//!
//! # What it does not do
//!
//! It applies nothing to a container, and expands no variables: `$VEID` stays
//! as it is written.
#![forbid(unsafe_code)]

mod config;
mod document;
mod error;
mod key;
pub mod sample;
mod tree;

pub use config::{Config, Notice, Read, Switch};
pub use document::Document;
pub use error::{Error, Malformed};
pub use key::Key;
pub use tree::{LONGEST, Lock, Staged, Tree, USUAL, lock, read_file};
