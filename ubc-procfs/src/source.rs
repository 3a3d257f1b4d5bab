//! Where a view gets its numbers.

use std::io;

use ubc_core::{ContainerId, Reading};

use crate::text::meminfo::HostMemory;

/// Whoever can tell the numbers that a view shows.
///
/// A view asks once for each open, and again when a reader comes back to the
/// beginning, and serves every read from the answer, so the values a reader sees
/// belong together. One view shows exactly
/// what its source knows: the view of a container gets a source that knows
/// that container only.
pub trait Source: Send + Sync {
    /// The containers to show, newest first, the host last.
    fn ids(&self) -> Vec<ContainerId>;

    /// The numbers of one container now.
    ///
    /// # Errors
    ///
    /// `NotFound` when there is no such container (any more); any other error
    /// reaches the reader as the errno of its `open(2)`.
    fn reading(&self, id: ContainerId) -> io::Result<Reading>;

    /// The numbers of all of them, in the order of [`Source::ids`], without those
    /// that are gone meanwhile. For sources that look at many at once for less.
    ///
    /// # Errors
    ///
    /// As [`Source::reading`], but for `NotFound`.
    fn readings(&self) -> io::Result<Vec<Reading>> {
        let mut readings = Vec::new();
        for id in self.ids() {
            match self.reading(id) {
                Ok(reading) => readings.push(reading),
                // Gone since the list was made: not a row any more.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(readings)
    }

    /// What the machine has: a container's own /proc/meminfo shows no more.
    ///
    /// # Errors
    ///
    /// `Unsupported`, unless the source can tell. Nobody asks as long as no
    /// view has a meminfo.
    fn host_memory(&self) -> io::Result<HostMemory> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
