//! The past on disk: readings and refusals of all containers, in bounded space.
//!
//! A directory of numbered files, each a JSON value a line: a [`Head`], a whole
//! reading of all containers, then what changed since and what was refused. So
//! every file can be read without those before it, and the oldest is removed
//! when there is no room for a new one. A recorder never goes on with a file of
//! another: a torn line can only be the last of its file.

mod entry;
mod files;
mod player;
mod recorder;

pub(crate) use entry::{Entry, Head, Moment, Numbers};
pub(crate) use files::Files;
pub(crate) use player::{Lines, Player};
pub(crate) use recorder::{Recorder, Space};

#[cfg(test)]
mod tests;
