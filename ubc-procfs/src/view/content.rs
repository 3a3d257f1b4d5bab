//! What the files say that a container finds directly in its /proc.

use std::io;

use rustix::io::Errno;

use crate::source::Source;
use crate::text::layout::File;
use crate::text::meminfo::{MEMINFO_LEN, MemorySize, write_meminfo};
use crate::text::table;

/// One of these files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// `user_beancounters`.
    UserBeancounters,
    /// `meminfo`, by this size.
    Meminfo(MemorySize),
}

impl Content {
    /// Its name in /proc.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Content::UserBeancounters => "user_beancounters",
            Content::Meminfo(_) => "meminfo",
        }
    }

    /// Who may read it: as OpenVZ had it, and as the kernel's own.
    pub(super) const fn permissions(self) -> u32 {
        match self {
            Content::UserBeancounters => 0o400,
            Content::Meminfo(_) => 0o444,
        }
    }

    /// How many bytes it is announced to have, for so many containers.
    pub(super) const fn len(self, containers: usize) -> usize {
        match self {
            Content::UserBeancounters => File::UserBeancounters.len(containers),
            Content::Meminfo(_) => MEMINFO_LEN,
        }
    }

    /// The whole text, from one reading.
    pub(super) fn text(self, source: &dyn Source) -> io::Result<Vec<u8>> {
        let readings = source.readings()?;
        let mut text = Vec::new();
        match self {
            Content::UserBeancounters => table::write_user_beancounters(&readings, &mut text),
            Content::Meminfo(size) => {
                // Of the container whose view this is: there is no other.
                let own = readings.first().ok_or(Errno::NOENT)?;
                write_meminfo(own, size, source.host_memory()?, &mut text);
            }
        }
        Ok(text)
    }
}
