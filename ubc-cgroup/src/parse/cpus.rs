//! Lists of CPUs and nodes, and the speed of a CPU.

use super::{Malformed, number};

/// The longest list of ids: OpenVZ's masks had 4096 bits, the kernel's have
/// at most 8192.
const MOST_IDS: u32 = 8192;

/// The ids of a list as cpuset files and `/sys/devices/system/cpu/online`
/// write it: `0-2,5`. An empty text has none.
///
/// # Errors
///
/// Anything but numbers below 8192 and rising ranges of them.
pub fn ids(text: &[u8]) -> Result<Vec<u32>, Malformed> {
    let fail = || Malformed::new(1, "expected ids and ranges of ids below 8192");
    let text = text.trim_ascii();
    let mut found = Vec::new();
    if text.is_empty() {
        return Ok(found);
    }
    let id = |word: &[u8]| {
        number(word).and_then(|n| u32::try_from(n).ok()).filter(|n| *n < MOST_IDS).ok_or_else(fail)
    };
    for part in text.split(|&b| b == b',') {
        let (first, last) = match part.iter().position(|&b| b == b'-') {
            Some(dash) => (id(&part[..dash])?, id(&part[dash + 1..])?),
            None => (id(part)?, id(part)?),
        };
        if first > last || found.len() > MOST_IDS as usize {
            return Err(fail());
        }
        found.extend(first..=last);
    }
    Ok(found)
}

/// The speed of the first CPU in `/proc/cpuinfo`, in whole MHz. Some
/// architectures and emulators print none.
pub fn megahertz(cpuinfo: &[u8]) -> Option<u32> {
    cpuinfo.split(|&b| b == b'\n').find_map(|line| {
        let rest = line.strip_prefix(b"cpu MHz")?;
        let value = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii();
        let whole = value.split(|&b| b == b'.').next()?;
        u32::try_from(number(whole)?).ok().filter(|mhz| *mhz > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::{ids, megahertz};

    #[test]
    fn a_list_of_cpus_loses_no_end_of_a_range() {
        assert_eq!(ids(b"0-2,5\n"), Ok(vec![0, 1, 2, 5]));
        assert_eq!(ids(b"\n"), Ok(vec![]));
        assert_eq!(ids(b"8191"), Ok(vec![8191]));
        for bad in [&b"8192"[..], b"2-1", b"1,,2", b"-1", b"1-", b"all", b"1 2", b"0-4294967296"] {
            assert!(ids(bad).is_err(), "{}", bad.escape_ascii());
        }
        let hostile = "0-8191,".repeat(1000) + "1";
        assert!(ids(hostile.as_bytes()).is_err(), "a list may not grow without bound");
    }

    #[test]
    fn a_cpu_without_a_speed_has_none_rather_than_zero() {
        assert_eq!(megahertz(b"processor\t: 0\ncpu MHz\t\t: 2449.998\n"), Some(2449));
        assert_eq!(megahertz(b"cpu MHz : 0.000\n"), None);
        assert_eq!(megahertz(b"BogoMIPS\t: 48.00\n"), None);
        assert_eq!(megahertz(b"cpu MHz\t\t: unknown\n"), None);
    }
}
