//! A mount on one file that only this process and its children see.
//!
//! They get a mount namespace of their own. What else is mounted and unmounted
//! in it must go on to reach the host's and come from there, or a container's
//! shared volumes were no longer that: so the one mount that holds the file
//! leaves its peers for the moment in which the file is covered, and joins them
//! again (`mount_namespaces(7)`; `MOVE_MOUNT_SET_GROUP`, Linux 5.15).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns, unshare};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_change, move_mount, open_tree,
};

/// Covers `path`, which led to `file`.
pub(super) fn cover(path: &Path, file: &OwnedFd, text: &[u8], dir: &Path) -> io::Result<()> {
    let holder = Holder::of(file)?;
    let namespace = File::open("/proc/self/ns/mnt")?;
    let here = open_path(Path::new("."))?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    on_path(path, file, &holder, text, dir).or_else(|error| {
        // Back to where whoever goes on without it must be.
        setns(&namespace, CloneFlags::CLONE_NEWNS)?;
        rustix::process::fchdir(&here)?;
        Err(error)
    })
}

/// The same, in the mount namespace that only this process has.
fn on_path(
    path: &Path,
    file: &OwnedFd,
    theirs: &Holder,
    text: &[u8],
    dir: &Path,
) -> io::Result<()> {
    let target = open_path(path)?;
    if !is_same(&target, file)? {
        return Err(io::Error::other("it was replaced meanwhile"));
    }
    let fresh = Fresh::with(dir, file, text)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let fresh_mount = open_tree(CWD, &fresh.0, flags)?;

    let ours = if theirs.is_shared { Some(Holder::of(&target)?) } else { None };
    if let Some(ours) = &ours {
        // A descriptor that names the mount, whatever is mounted on its path.
        let ours = format!("/proc/self/fd/{}", ours.root.as_raw_fd());
        mount_change(&*ours, MountPropagationFlags::PRIVATE)?;
    }
    let by_descriptor =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(&fresh_mount, "", &target, "", by_descriptor)?;
    if let Some(ours) = &ours {
        let set_group = by_descriptor | MoveMountFlags::MOVE_MOUNT_SET_GROUP;
        move_mount(&theirs.root, "", &ours.root, "", set_group)?;
    }
    Ok(())
}

/// A file that loses its name on drop: what has none cannot be mounted.
struct Fresh(PathBuf);

impl Fresh {
    /// One with this text, and with the owner and mode of another file.
    fn with(dir: &Path, like: &OwnedFd, text: &[u8]) -> io::Result<Fresh> {
        let path = dir.join(format!(".config-{}", std::process::id()));
        // Of one that was killed in the moment between.
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
        let fresh = Fresh(path);
        let like = rustix::fs::fstat(like)?;
        let mut file = File::from(file);
        file.write_all(text)?;
        std::os::unix::fs::fchown(&file, Some(like.st_uid), Some(like.st_gid))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(like.st_mode & 0o7777))?;
        Ok(fresh)
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Nobody but root sees the directory, and the next boot clears it.
        drop(std::fs::remove_file(&self.0));
    }
}

/// The mount that holds a file, in the current mount namespace.
#[derive(Debug)]
struct Holder {
    root: OwnedFd,
    /// What is mounted in it is mounted elsewhere too.
    is_shared: bool,
}

impl Holder {
    fn of(file: &impl AsFd) -> io::Result<Holder> {
        let id = mount_id(file)?;
        let table = std::fs::read("/proc/self/mountinfo")?;
        let (point, is_shared) =
            line(&table, id).ok_or_else(|| io::Error::other("it is on no mount of this system"))?;
        let root = open_path(&point)?;
        if mount_id(&root)? != id {
            let message = format!("another mount hides {}, which holds it", point.display());
            return Err(io::Error::other(message));
        }
        Ok(Holder { root, is_shared })
    }
}

/// The mount point of the mount of this id, and whether it has peers
/// (proc_pid_mountinfo(5)).
fn line(table: &[u8], id: u64) -> Option<(PathBuf, bool)> {
    table.split(|byte| *byte == b'\n').find_map(|line| {
        let mut words = line.split(|byte| *byte == b' ');
        let own: u64 = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
        if own != id {
            return None;
        }
        let point = PathBuf::from(OsString::from_vec(unescaped(words.nth(3)?)));
        let optional = words.skip(1).take_while(|word| *word != b"-");
        let is_shared = optional.into_iter().any(|word| word.starts_with(b"shared:"));
        Some((point, is_shared))
    })
}

/// A field of mountinfo, whose blanks and the like are `\040`.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let octal = (*first == b'\\').then(|| after.get(..3)).flatten();
        let octal = octal.and_then(|digits| std::str::from_utf8(digits).ok());
        let octal = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        plain.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

fn mount_id(file: &impl AsFd) -> io::Result<u64> {
    let stat = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    told.then_some(stat.stx_mnt_id).ok_or_else(|| io::ErrorKind::Unsupported.into())
}

fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

fn is_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.12 writes it.
    const TABLE: &[u8] = b"\
23 29 0:21 / /sys rw,nosuid shared:7 - sysfs sysfs rw
29 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 29 0:35 / /mnt/a\\040b\\134c rw master:3 propagate_from:2 - tmpfs shared:1 rw
41 29 0:35 / /mnt/both rw shared:9 master:3 - tmpfs tmpfs rw
";

    #[test]
    fn peers_are_told_by_the_optional_fields_alone() {
        let found = |id| line(TABLE, id);
        assert_eq!(found(23), Some(("/sys".into(), true)));
        assert_eq!(found(29), Some(("/".into(), false)));
        assert_eq!(found(40), Some(("/mnt/a b\\c".into(), false)));
        assert_eq!(found(41), Some(("/mnt/both".into(), true)));
        assert_eq!(found(2), None);
        assert_eq!(line(b"\n23\n23 29\nx y z\n", 23), None);
    }
}
