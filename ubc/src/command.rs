//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod mem;
pub(crate) mod pages;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod set;
pub(crate) mod split;
pub(crate) mod top;
pub(crate) mod watch;
