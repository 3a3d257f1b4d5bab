use std::collections::HashSet;

use super::candidates;
use crate::parse::mounts;

#[test]
fn a_tmpfs_behind_fuse_or_of_the_host_is_not_asked() {
    let host = mounts(b"1 0 8:1 / / rw - ext4 d rw\n2 1 0:20 / /dev/shm rw - tmpfs t rw\n");
    let container = mounts(
        b"10 9 0:40 / / rw - overlay o rw\n\
        11 10 0:41 / /run rw - tmpfs t rw\n\
        12 10 0:20 / /dev/shm rw - tmpfs t rw\n\
        13 10 0:42 / /srv rw - fuse.trap f rw\n\
        14 13 0:43 / /srv/in rw - tmpfs t rw\n\
        15 11 0:41 / /run/again rw - tmpfs t rw\n\
        16 11 0:44 / /run/user rw - tmpfs t rw\n",
    );
    let mut counted = HashSet::new();
    let ids: Vec<_> =
        candidates(&container, &host, &mut counted).iter().map(|mount| mount.id).collect();
    assert_eq!(ids, [11, 16]);
    assert!(
        candidates(&container, &host, &mut counted).is_empty(),
        "another namespace, same mounts"
    );
}

#[test]
fn mounts_that_name_each_other_as_parent_end() {
    let container = mounts(b"10 11 0:40 / /a rw - tmpfs t rw\n11 10 0:41 / /b rw - tmpfs t rw\n");
    assert!(candidates(&container, &[], &mut HashSet::new()).is_empty());
}

#[test]
fn mounts_nested_as_deep_as_somebody_likes_cost_one_look_each() {
    let line = |n: u32| format!("{} {} 0:{} / /x rw - tmpfs t rw\n", n + 1, n, n + 40);
    let deep = (0..100_000).map(line).collect::<Vec<_>>().concat();
    // By every way to every mount these would be 5 * 10^9 looks, and as many
    // again at each of them.
    assert_eq!(candidates(&mounts(deep.as_bytes()), &[], &mut HashSet::new()).len(), 100_000);
    let behind = format!("1 0 0:9 / / rw - fuse f rw\n{}", deep.split_once('\n').unwrap().1);
    assert!(candidates(&mounts(behind.as_bytes()), &[], &mut HashSet::new()).is_empty());
}
