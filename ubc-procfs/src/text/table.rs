//! Writing the resource tables, byte for byte as a 64-bit kernel did.
//!
//! The id of a container stands before the colon inside the 10-wide column
//! (the layout of 2.6.18 and 042stab; Virtuozzo 7 put the colon behind it).
//! Dummy rows show what kernels built without default limits showed:
//! 0, 0, unlimited, unlimited, 0.

use ubc_core::{ContainerId, Reading, Row, UNLIMITED};

use super::layout::{
    CONTAINER_RESOURCES_LEN, File, HEADER, ID_WIDTH, NAME_AT, NAME_WIDTH, NUMBER_WIDTH, ROW_LEN,
    USER_BEANCOUNTERS_LEN, VERSION,
};

/// Appends `/proc/user_beancounters` for these readings, in this order.
///
/// Kernels listed the newest container first and the host last; a container
/// saw only itself. The vector grows at most once where the iterator knows its
/// length.
pub fn write_user_beancounters<'a>(
    readings: impl IntoIterator<Item = &'a Reading>,
    out: &mut Vec<u8>,
) {
    write(File::UserBeancounters, readings, out);
}

/// Appends `/proc/bc/resources` for these readings, in this order.
pub fn write_bc_resources<'a>(readings: impl IntoIterator<Item = &'a Reading>, out: &mut Vec<u8>) {
    write(File::BcResources, readings, out);
}

/// Appends `/proc/bc/<id>/resources` for one reading.
pub fn write_container_resources(reading: &Reading, out: &mut Vec<u8>) {
    write(File::ContainerResources, [reading], out);
}

/// `/proc/user_beancounters` as a container sees it, into a buffer of exactly
/// its size: no allocation.
///
/// # Examples
///
/// ```
/// use ubc_core::{ContainerId, PerResource, Reading, Row};
/// use ubc_procfs::text::layout::USER_BEANCOUNTERS_LEN;
/// use ubc_procfs::text::table::fill_user_beancounters;
///
/// let reading = Reading { id: ContainerId::new(101)?, rows: PerResource::default() };
/// let mut file = [0; USER_BEANCOUNTERS_LEN];
/// fill_user_beancounters(&reading, &mut file);
/// assert!(file.starts_with(b"Version: 2.5\n       uid  resource  "));
/// assert!(file[143..].starts_with(b"      101:  kmemsize  "));
/// # Ok::<(), ubc_core::InvalidContainerId>(())
/// ```
pub fn fill_user_beancounters(reading: &Reading, file: &mut [u8; USER_BEANCOUNTERS_LEN]) {
    let (version, rest) = file.split_at_mut(VERSION.len());
    version.copy_from_slice(VERSION);
    let (header, rows) = rest.split_at_mut(HEADER.len());
    header.copy_from_slice(HEADER);
    fill(File::UserBeancounters, reading, rows);
}

/// `/proc/bc/<id>/resources` into a buffer of exactly its size: no
/// allocation.
pub fn fill_container_resources(reading: &Reading, file: &mut [u8; CONTAINER_RESOURCES_LEN]) {
    fill(File::ContainerResources, reading, file);
}

fn fill(file: File, reading: &Reading, out: &mut [u8]) {
    for (to, row) in out.as_chunks_mut().0.iter_mut().zip(rows(file, reading)) {
        *to = row;
    }
}

fn write<'a>(file: File, readings: impl IntoIterator<Item = &'a Reading>, out: &mut Vec<u8>) {
    let readings = readings.into_iter();
    out.reserve(file.len(readings.size_hint().0));
    if file.has_header() {
        out.extend_from_slice(VERSION);
        out.extend_from_slice(HEADER);
    }
    for reading in readings {
        for row in rows(file, reading) {
            out.extend_from_slice(&row);
        }
    }
}

/// The rows of one container, in order.
fn rows(file: File, reading: &Reading) -> impl Iterator<Item = [u8; ROW_LEN]> {
    const DUMMY: Row =
        Row { held: 0, maxheld: 0, minheld: 0, barrier: UNLIMITED, limit: UNLIMITED, failcnt: 0 };
    let mut id = file.has_header().then_some(reading.id);
    file.rows().iter().map(move |resource| match resource {
        Some(resource) => row(id.take(), resource.name(), &reading.rows[*resource]),
        None => row(id.take(), "dummy", &DUMMY),
    })
}

fn row(id: Option<ContainerId>, name: &str, numbers: &Row) -> [u8; ROW_LEN] {
    let mut row = [b' '; ROW_LEN];
    row[ROW_LEN - 1] = b'\n';
    if let Some(id) = id {
        row[ID_WIDTH - 1] = b':';
        right_align(u64::from(id.get()), &mut row[..ID_WIDTH - 1]);
    }
    // Names are at most NAME_WIDTH bytes; a longer one would be cut.
    for (to, from) in row[NAME_AT..NAME_AT + NAME_WIDTH].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    let Row { held, maxheld, barrier, limit, failcnt, minheld: _ } = *numbers;
    let fields = row[NAME_AT + NAME_WIDTH..].chunks_exact_mut(1 + NUMBER_WIDTH);
    for (field, value) in fields.zip([held, maxheld, barrier, limit, failcnt]) {
        right_align(value, field);
    }
    row
}

/// Writes a number in decimal so that it ends where the field does. No field
/// of a row is too narrow for its numbers.
fn right_align(value: u64, field: &mut [u8]) {
    // Most thresholds of most containers.
    const LONGEST: &[u8; 19] = b"9223372036854775807";
    if value == UNLIMITED
        && let Some(end) = field.last_chunk_mut()
    {
        *end = *LONGEST;
        return;
    }
    let mut rest = value;
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
}

#[cfg(test)]
mod tests;
