//! What a view's delivery came to, in words for people.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::text::meminfo::MemorySize;
use crate::view::Content;

/// How the view came into a container's /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Over the whole directory, because its procfs has no name to mount
    /// onto.
    Procroot,
    /// Onto the name that its procfs has.
    NativeEntry,
}

impl Way {
    /// The way into containers made now, as far as the procfs that the
    /// calling process has at /proc can tell.
    pub fn here() -> Way {
        let path = Path::new("/proc").join(Content::UserBeancounters.name());
        // A link would be a container's doing, and none of ours.
        let found = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        if found { Way::NativeEntry } else { Way::Procroot }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Procroot => "procroot: procfs has no user_beancounters",
            Way::NativeEntry => "native entry: procfs has user_beancounters",
        })
    }
}

/// Whose /proc/meminfo a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meminfo {
    /// What it was without the view.
    Unchanged,
    /// Its own, by this size.
    Own(MemorySize),
    /// That of another mount, which was there first (lxcfs), though its own
    /// was asked for.
    LeftToOther,
    /// None: its procfs has no such file (`subset=pid`).
    Absent,
}

impl fmt::Display for Meminfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Meminfo::Unchanged => f.write_str("unchanged"),
            Meminfo::Own(size) => write!(f, "{size}"),
            Meminfo::LeftToOther => f.write_str("left to the mount that covers it"),
            Meminfo::Absent => f.write_str("absent: its procfs has none"),
        }
    }
}
