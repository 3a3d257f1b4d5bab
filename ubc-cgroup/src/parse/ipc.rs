//! `/proc/sysvipc/shm`.

use super::{Malformed, lines, number, words};

/// A System V segment, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// As asked for at creation.
    pub size: u64,
    /// Of it in memory or swap; 0 where the kernel does not say.
    pub backed: u64,
}

/// The System V segments.
///
/// Only `size`, `rss` and `swap` are looked at: the procfs crate's reader
/// holds uids in 16 bits and fails the file on a user-namespace uid.
///
/// # Errors
///
/// A line without key, shmid, perms and size.
pub fn shm_segments(text: &[u8]) -> Result<Vec<Segment>, Malformed> {
    let mut segments = Vec::new();
    for (line, content) in lines(text).skip(1) {
        if content.is_empty() {
            continue;
        }
        let mut columns = words(content).skip(3);
        let Some(size) = columns.next().and_then(number) else {
            return Err(Malformed::new(line, "expected key shmid perms size"));
        };
        // cpid to ctime lie between.
        let mut rest = columns.skip(10).map_while(number);
        let backed = rest.next().unwrap_or(0).saturating_add(rest.next().unwrap_or(0));
        segments.push(Segment { size, backed });
    }
    Ok(segments)
}
