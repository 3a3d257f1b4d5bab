//! What `/proc/PID/status` says of who a process is.

/// The ids, groups, rights and numbers of a process or thread, as the reader's
/// own user namespace sees them (proc_pid_status(5)).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Status {
    /// Real, effective, saved and file system user id.
    pub(super) uids: [u32; 4],
    /// The same of the group.
    pub(super) gids: [u32; 4],
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
    /// The permitted capabilities, a bit each.
    pub(super) permitted: u64,
    /// The effective capabilities, a bit each.
    pub(super) effective: u64,
    /// The number of the process in each pid namespace, the procfs' own first.
    pub(super) tgids: Vec<u32>,
    /// The same of the thread.
    pub(super) tids: Vec<u32>,
}

impl Status {
    /// `None` when a field is missing or is not as the kernel writes it.
    pub(super) fn parse(text: &[u8]) -> Option<Status> {
        // The kernel escapes a line break in the name, so each field is where
        // its word begins a line.
        let text = std::str::from_utf8(text.get(text.iter().position(|&b| b == b'\n')?..)?).ok()?;
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        let numbers = |name| {
            let words = field(name)?.split_ascii_whitespace();
            words.map(|word| word.parse().ok()).collect::<Option<Vec<u32>>>()
        };
        let filled = |name| numbers(name).filter(|numbers| !numbers.is_empty());
        let set = |name| u64::from_str_radix(field(name)?, 16).ok();
        Some(Status {
            uids: numbers("Uid")?.try_into().ok()?,
            gids: numbers("Gid")?.try_into().ok()?,
            groups: numbers("Groups")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            tgids: filled("NStgid")?,
            tids: filled("NSpid")?,
        })
    }
}

/// When a process started, in ticks since boot: the 22nd field of
/// `/proc/PID/stat`, counted behind the name, which may hold anything.
pub(crate) fn start_time(stat: &[u8]) -> Option<u64> {
    let name_end = stat.iter().rposition(|&byte| byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_end + 1..]).ok()?;
    // The state is the third.
    rest.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Name:\tUid:\t0\\nUid:\t1 1 1 1\nUmask:\t0022\nTgid:\t7\nUid:\t1000\t1001\t1002\t1003\n\
        Gid:\t5\t6\t7\t8\nFDSize:\t64\nGroups:\t4 24 \nNStgid:\t700\t7\nNSpid:\t701\t8\n\
        CapPrm:\t0000000000080003\nCapEff:\t0000000000080001\n";

    #[test]
    fn a_name_that_looks_like_a_field_is_not_taken_for_one() {
        let status = Status::parse(TEXT.as_bytes()).unwrap();
        assert_eq!(status.uids, [1000, 1001, 1002, 1003]);
        assert_eq!(status.gids, [5, 6, 7, 8]);
        assert_eq!(status.groups, [4, 24]);
        assert_eq!((status.permitted, status.effective), (1 << 19 | 3, 1 << 19 | 1));
        assert_eq!(status.tgids, [700, 7]);
        assert_eq!(status.tids, [701, 8]);
        let stat = b"7 (a) R 1 1) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4242 5 6";
        assert_eq!(start_time(stat), Some(4242));
    }

    #[test]
    fn a_status_without_a_field_names_nobody() {
        for field in ["\nUid", "\nGid", "\nGroups", "CapPrm", "CapEff", "NStgid", "NSpid"] {
            let text = TEXT.replace(field, "\nother");
            assert_eq!(Status::parse(text.as_bytes()), None, "{field:?}");
        }
        for text in ["", "Name:\tx", "Name:\tx\n", "\n\n"] {
            assert_eq!(Status::parse(text.as_bytes()), None, "{text:?}");
        }
        for stat in [&b""[..], b"1 (x", b"1 (x)", b"1 (x) S 1 2 3"] {
            assert_eq!(start_time(stat), None);
        }
    }

    #[test]
    fn the_kernels_own_status_is_understood() {
        let status = Status::parse(&std::fs::read("/proc/self/status").unwrap()).unwrap();
        assert_eq!(status.tgids[0], std::process::id());
        assert_eq!(status.uids[1], rustix::process::geteuid().as_raw());
        assert!(start_time(&std::fs::read("/proc/self/stat").unwrap()).unwrap() > 0);
    }
}
