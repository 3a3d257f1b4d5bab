//! What the tmpfs mounts of a container hold.
//!
//! The paths are the container's, so they are walked below its root without
//! following links, and what is found must be the device that mountinfo
//! promised. On the way may lie a FUSE file system whose server never
//! answers; the walk therefore runs on a thread that is waited for only so
//! long. A thread that hangs is left behind, one for each container at most:
//! while it hangs no other is started.

use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::parse::{Mount, mounts};
use crate::{Error, Result, files};

/// A local lookup takes microseconds.
const PATIENCE: Duration = Duration::from_millis(500);

/// `TMPFS_MAGIC`.
const TMPFS: u64 = 0x0102_1994;

/// Asks tmpfs mounts how full they are.
#[derive(Debug, Default)]
pub(super) struct Prober {
    stuck: Option<Receiver<u64>>,
}

impl Prober {
    /// Bytes held by the tmpfs file systems of a mount namespace that are
    /// not the host's and not in `counted`, which gets them. `None` when the
    /// mounts do not answer in time.
    pub(super) fn used(
        &mut self,
        root: OwnedFd,
        mountinfo: &[u8],
        counted: &mut HashSet<(u32, u32)>,
    ) -> Result<Option<u64>> {
        if let Some(stuck) = &self.stuck {
            if stuck.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Timeout) {
                return Ok(None);
            }
            self.stuck = None;
        }
        let host = mounts(&files::read_path("/proc/self/mountinfo")?);
        let wanted = candidates(&mounts(mountinfo), &host, counted);
        if wanted.is_empty() {
            return Ok(Some(0));
        }
        let (sender, receiver) = channel();
        std::thread::Builder::new()
            .name("ubc-tmpfs".to_owned())
            .spawn(move || {
                let bytes = wanted.iter().map(|mount| held(&root, mount).unwrap_or(0)).sum();
                // Nobody listens any more when we were too slow.
                let _ = sender.send(bytes);
            })
            .map_err(|error| Error::io("start a thread for", "/proc/PID/root", error))?;
        if let Ok(bytes) = receiver.recv_timeout(PATIENCE) {
            return Ok(Some(bytes));
        }
        self.stuck = Some(receiver);
        Ok(None)
    }
}

/// The tmpfs mounts to ask: one for each file system, not the host's. A tmpfs
/// below a mount that another program serves (FUSE, a network file system)
/// is not asked, because the way there may never end.
pub(super) fn candidates(
    container: &[Mount],
    host: &[Mount],
    counted: &mut HashSet<(u32, u32)>,
) -> Vec<Mount> {
    let host: HashSet<_> = host.iter().map(|mount| mount.device).collect();
    let mut ways = Ways::of(container);
    container
        .iter()
        .filter(|mount| mount.kind == b"tmpfs" && !host.contains(&mount.device))
        .filter(|mount| mount.parent == mount.id || ways.are_local(mount.parent))
        .filter(|mount| counted.insert(mount.device))
        .cloned()
        .collect()
}

/// Which mounts are reached without another program's help. Each is looked at
/// once, however many there are and however deep they lie: that is the
/// container's to choose.
struct Ways<'a> {
    mounts: HashMap<u64, &'a Mount>,
    known: HashMap<u64, bool>,
}

impl<'a> Ways<'a> {
    fn of(mounts: &'a [Mount]) -> Ways<'a> {
        let mounts = mounts.iter().map(|mount| (mount.id, mount)).collect();
        Ways { mounts, known: HashMap::new() }
    }

    /// Whether a mount and all on the way to it are of local file systems.
    fn are_local(&mut self, mut id: u64) -> bool {
        let mut way = Vec::new();
        let local = loop {
            if let Some(known) = self.known.get(&id) {
                break *known;
            }
            let Some(mount) = self.mounts.get(&id) else { break true };
            // A way that comes back here leads nowhere.
            self.known.insert(id, false);
            way.push(id);
            if !is_local(&mount.kind) {
                break false;
            }
            if mount.parent == id {
                break true;
            }
            id = mount.parent;
        };
        self.known.extend(way.into_iter().map(|id| (id, local)));
        local
    }
}

/// File systems that answer a lookup by themselves.
fn is_local(kind: &[u8]) -> bool {
    const LOCAL: [&[u8]; 15] = [
        b"ext2",
        b"ext3",
        b"ext4",
        b"xfs",
        b"btrfs",
        b"overlay",
        b"tmpfs",
        b"ramfs",
        b"rootfs",
        b"devtmpfs",
        b"squashfs",
        b"erofs",
        b"f2fs",
        b"zfs",
        b"proc",
    ];
    LOCAL.contains(&kind)
}

/// Bytes in use in the file system mounted here.
fn held(root: &OwnedFd, mount: &Mount) -> Result<u64, Errno> {
    let directory = rustix::fs::openat2(
        root,
        mount.point.as_slice(),
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
    )?;
    let stat = rustix::fs::fstat(&directory)?;
    let device = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let fs = rustix::fs::fstatfs(&directory)?;
    // Covered by another mount since mountinfo was read, or before.
    if device != mount.device || u64::try_from(fs.f_type) != Ok(TMPFS) {
        return Ok(0);
    }
    let blocks = fs.f_blocks.saturating_sub(fs.f_bfree);
    Ok(blocks.saturating_mul(u64::try_from(fs.f_bsize).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
