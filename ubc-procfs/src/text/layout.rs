//! The layout of the resource tables: lines, widths and rows.
//!
//! (042stab and 2.6.18 `proc.c`, 64-bit: `"%10s  %-12s %20s %20s %20s %20s
//! %20s\n"`.)

use ubc_core::{Resource, SLOTS, VISIBLE_SLOTS};

/// The first line.
pub const VERSION: &[u8; 13] = b"Version: 2.5\n";

/// The second line: the names of the columns, as wide as a row.
pub const HEADER: &[u8; ROW_LEN] = b"       uid  resource                     held              maxheld              barrier                limit              failcnt\n";

/// Bytes of a row, its newline included: 10 for the id, 2 blanks, 12 for the
/// name, five numbers of 20 with a blank before each.
pub const ROW_LEN: usize = ID_WIDTH + 2 + NAME_WIDTH + 5 * (1 + NUMBER_WIDTH) + 1;

/// Bytes of `/proc/user_beancounters` for one container, whatever its
/// numbers: readers that take the size from `stat(2)` get the whole file.
pub const USER_BEANCOUNTERS_LEN: usize = File::UserBeancounters.len(1);

/// Bytes of `/proc/bc/<id>/resources`, whatever its numbers.
pub const CONTAINER_RESOURCES_LEN: usize = File::ContainerResources.len(1);

/// Width of the first column: the id and its colon, right-aligned.
pub(super) const ID_WIDTH: usize = 10;
/// Where the name begins in a row.
pub(super) const NAME_AT: usize = ID_WIDTH + 2;
/// Width of the name, left-aligned.
pub(super) const NAME_WIDTH: usize = 12;
/// Width of a number, right-aligned.
pub(super) const NUMBER_WIDTH: usize = 20;

/// One of the three files with a table of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum File {
    /// `/proc/user_beancounters`: every visible container, dummy rows
    /// included, without swappages: 24 rows each.
    UserBeancounters,
    /// `/proc/bc/resources`: every container, without dummy rows, with
    /// swappages: 21 rows each.
    BcResources,
    /// `/proc/bc/<id>/resources`: the rows of one container as in
    /// `/proc/bc/resources`, without version, header and id.
    ContainerResources,
}

const RESOURCES: [Option<Resource>; Resource::COUNT] = {
    let mut rows = [None; Resource::COUNT];
    let mut i = 0;
    while i < Resource::COUNT {
        rows[i] = Some(Resource::ALL[i]);
        i += 1;
    }
    rows
};

impl File {
    /// The rows of one container, in order; `None` is a dummy.
    pub const fn rows(self) -> &'static [Option<Resource>] {
        match self {
            File::UserBeancounters => SLOTS.split_at(VISIBLE_SLOTS).0,
            File::BcResources | File::ContainerResources => &RESOURCES,
        }
    }

    /// Whether the file begins with [`VERSION`] and [`HEADER`] and names the
    /// container in its first row.
    pub const fn has_header(self) -> bool {
        !matches!(self, File::ContainerResources)
    }

    /// Bytes of the file with so many containers in it.
    pub const fn len(self, containers: usize) -> usize {
        let head = if self.has_header() { VERSION.len() + HEADER.len() } else { 0 };
        let rows = self.rows().len().saturating_mul(containers);
        rows.saturating_mul(ROW_LEN).saturating_add(head)
    }
}
