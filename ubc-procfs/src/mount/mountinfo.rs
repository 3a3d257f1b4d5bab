//! Which mounts are ours, by /proc/self/mountinfo.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::fuse;

/// How many views, one over the other, are what a path shows: the topmost
/// mounts on it, as far as they are views.
///
/// (proc_pid_mountinfo(5): the fifth field is the mount point, with blanks
/// escaped in octal; the type follows a lone hyphen.)
pub(super) fn views_on(mountinfo: &[u8], path: &Path) -> usize {
    let here = escaped(path.as_os_str().as_bytes());
    let kind = format!("fuse.{}", fuse::SOURCE);
    let mut views = 0;
    for line in mountinfo.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b' ');
        if fields.nth(4) != Some(&here) {
            continue;
        }
        let mut after = fields.skip_while(|field| *field != b"-");
        // A later mount on the same point hides the earlier ones.
        views = if after.nth(1) == Some(kind.as_bytes()) { views + 1 } else { 0 };
    }
    views
}

/// The number of the mount that an open file is on, by its
/// /proc/PID/fdinfo/N.
pub(super) fn mount_id(fdinfo: &[u8]) -> Option<u64> {
    let line = fdinfo.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"mnt_id:"));
    std::str::from_utf8(line?).ok()?.trim().parse().ok()
}

/// The options of the file system that is mounted under a number: the last
/// field of its line.
pub(super) fn options(mountinfo: &[u8], mount_id: u64) -> Option<&[u8]> {
    let prefix = format!("{mount_id} ");
    let mut lines = mountinfo.split(|&byte| byte == b'\n');
    lines.find(|line| line.starts_with(prefix.as_bytes()))?.rsplit(|&byte| byte == b' ').next()
}

fn escaped(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    for &byte in path {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => out.extend(format!("\\{byte:03o}").into_bytes()),
            _ => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &[u8] = b"22 1 0:20 / /proc rw - proc proc rw\n\
        90 1 0:50 / /run/ubc/proc rw,nosuid shared:5 - fuse.ubc ubc rw,user_id=0\n\
        91 1 0:51 / /run/ubc/proc rw,nosuid - fuse.ubc ubc rw,user_id=0\n\
        92 1 0:52 / /run/a\\040b/proc rw - fuse.ubc ubc rw\n\
        93 1 0:53 / /mnt rw - fuse.ubc ubc rw\n\
        94 1 0:54 / /mnt rw - tmpfs tmpfs rw\n";

    #[test]
    fn only_views_that_show_are_counted() {
        let views = |path: &str| views_on(MOUNTS, Path::new(path));
        assert_eq!(views("/run/ubc/proc"), 2);
        assert_eq!(views("/run/a b/proc"), 1);
        // Somebody mounted over it: not ours to take away.
        assert_eq!(views("/mnt"), 0);
        assert_eq!(views("/proc"), 0);
        assert_eq!(views("/nowhere"), 0);
        assert_eq!(views_on(b"\n\n - \n1 2 3 4 /x", Path::new("/x")), 0);
    }

    #[test]
    fn the_options_of_one_mount_are_not_taken_from_another() {
        let mounts = b"122 1 0:20 / /a rw - proc proc rw\n22 1 0:20 / /proc rw,nosuid shared:1 - \
            proc proc rw,gid=5,hidepid=invisible\n2 1 0:3 / / rw - ext4 /dev/vda rw";
        let info = b"pos:\t0\nflags:\t012000000\nmnt_id:\t22\nino:\t1\n";
        let id = mount_id(info).unwrap();
        assert_eq!(options(mounts, id), Some(&b"rw,gid=5,hidepid=invisible"[..]));
        assert_eq!(options(mounts, 2), Some(&b"rw"[..]));
        assert_eq!(options(mounts, 12), None);
        assert_eq!(mount_id(b"pos:\t0\nmnt_id:\tx\n"), None);
    }
}
