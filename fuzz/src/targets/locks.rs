//! Locks: of the machine and of a descriptor.

use ubc_cgroup::parse::{Lock, LockKind, fdinfo_locks, locks};

use super::lines;

/// A lock is read the same from either file and from what the kernel would
/// write, and one line does not change what another says.
///
/// # Panics
///
/// If that does not hold.
pub fn proc_locks(data: &[u8]) {
    let found = locks(data);
    assert_eq!(lines(data).flat_map(locks).collect::<Vec<Lock>>(), found);
    let text: String = found.iter().map(line).collect();
    assert_eq!(locks(text.as_bytes()), found);

    let prefixed = |text: &[u8]| -> Vec<u8> {
        lines(text).flat_map(|line| [b"lock:\t", line, b"\n"].concat()).collect()
    };
    let of = |text: &[u8]| -> Vec<Lock> {
        fdinfo_locks(text).into_iter().map(|(lock, _)| lock).collect()
    };
    assert_eq!(of(&prefixed(text.as_bytes())), found);
    assert!(of(text.as_bytes()).is_empty(), "no line of an fdinfo");
    // Other blanks than the kernel's are trimmed in one of the two.
    if !data.iter().any(|byte| b"\r\x0c".contains(byte)) {
        assert_eq!(of(&prefixed(data)), found);
    }

    for (lock, key) in fdinfo_locks(data) {
        assert!(key.starts_with(b":") && !key.contains(&b'\n'));
        // The running number says nothing.
        for number in [b"1".as_slice(), b"4294967295"] {
            let text = [b"lock:\t", number, key, b"\n"].concat();
            assert_eq!(fdinfo_locks(&text), [(lock, key)]);
        }
    }
}

fn line(lock: &Lock) -> String {
    let kind = match lock.kind {
        LockKind::Posix => "POSIX ",
        LockKind::Flock => "FLOCK ",
        LockKind::Ofd => "OFDLCK",
        LockKind::Lease => "LEASE ",
    };
    let pid = lock.pid.map_or("-1".to_owned(), |pid| pid.to_string());
    format!("1: {kind} ADVISORY  WRITE {pid} 08:01:2 0 EOF\n")
}
