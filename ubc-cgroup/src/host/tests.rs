use std::path::Path;

use super::{refuse, select, v1_mounts};
use crate::Error;
use crate::parse::mounts;

const HYBRID: &[u8] = b"30 20 0:26 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
    31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
    32 30 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
const UNIFIED: &[u8] = b"30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

#[test]
fn the_v2_mount_of_a_hybrid_machine_is_not_its_tmpfs() {
    let table = mounts(HYBRID);
    assert_eq!(select(&table, None).unwrap().point, b"/sys/fs/cgroup/unified");
    assert_eq!(select(&mounts(UNIFIED), None).unwrap().point, b"/sys/fs/cgroup");
    assert!(select(&mounts(b""), None).is_none());
    assert!(select(&table, Some(Path::new("/sys/fs/cgroup/memory"))).is_none());
}

#[test]
fn a_mount_hidden_by_a_later_one_is_not_used() {
    let text = [UNIFIED, b"40 30 0:26 /inner /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"].concat();
    assert_eq!(select(&mounts(&text), None).unwrap().root, b"/inner");
}

#[test]
fn a_mount_below_a_later_one_is_not_used() {
    // What runtimes are given on a hybrid machine.
    let text = [HYBRID, b"90 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"].concat();
    assert_eq!(select(&mounts(&text), None).unwrap().point, b"/sys/fs/cgroup");
    // And below itself it is not.
    let text = [&text[..], b"91 90 0:38 / /sys/fs/cgroup/a rw - cgroup2 cgroup2 rw\n"].concat();
    assert_eq!(select(&mounts(&text), None).unwrap().point, b"/sys/fs/cgroup");
}

#[test]
fn the_error_says_v1_only_of_v1() {
    let v1 = v1_mounts(&mounts(HYBRID));
    let at = |path| refuse(Path::new(path), &v1, Path::new("/sys/fs/cgroup/unified"));
    assert!(matches!(at("/sys/fs/cgroup/memory/x"), Error::CgroupV1 { .. }));
    assert!(matches!(at("/sys/fs/cgroup/x"), Error::NotBelowMount { .. }));
    assert_eq!(
        at("/sys/fs/cgroup/memory/x").to_string(),
        "/sys/fs/cgroup/memory/x is cgroup v1; ubc needs cgroup v2, which is mounted here at \
         /sys/fs/cgroup/unified"
    );
}
