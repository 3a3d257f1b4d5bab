//! The commands, one file each.

pub(crate) mod check;
pub(crate) mod import;
pub(crate) mod mem;
pub(crate) mod set;
pub(crate) mod split;
