//! The directory of the bpf file system where programs and maps stay.
//!
//! ```text
//! ROOT/maps/NAME                          the shared maps
//! ROOT/queues/NUMBER                      nothing; locked by who reads that queue
//! ROOT/GENERATION-BUILD/MECHANISM/PROGRAM a program, kept attached by its link
//! ```
//!
//! What is pinned there works on without any process of ours.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat, statfs};
use rustix::mount::{MountFlags, mount};

use crate::{Error, Result};

/// Where everything stays unless told otherwise.
pub const DEFAULT: &str = "/sys/fs/bpf/ubc";

/// What the name of a directory ends with that is not complete yet. (Names with a
/// dot are none on a bpf file system.)
const PART: &str = "-part";

/// `BPF_FS_MAGIC` (include/uapi/linux/magic.h).
const MAGIC: u64 = 0xcafe_4a11;

/// A set of programs that goes on duty together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Generation {
    pub(crate) number: u32,
    /// Which sources it was made from.
    pub(crate) build: String,
}

impl Generation {
    /// A generation of the programs of this build.
    pub(crate) fn ours(number: u32) -> Generation {
        Generation { number, build: env!("UBC_BPF_BUILD").to_owned() }
    }

    fn parse(name: &str) -> Option<Generation> {
        let (number, build) = name.split_once('-')?;
        Some(Generation { number: number.parse().ok()?, build: build.to_owned() })
    }
}

/// A lock that other processes see; closing the directory lets it go.
#[derive(Debug)]
pub(crate) struct Guard(OwnedFd);

/// A directory on a bpf file system.
#[derive(Clone, Debug)]
pub(crate) struct Place(PathBuf);

impl Place {
    /// Makes the directory; mounts a bpf file system at its parent if there
    /// is none, as systemd does at boot.
    pub(crate) fn open(root: &Path) -> Result<Place> {
        let parent = root.parent().unwrap_or(root);
        if !is_bpf(parent)? {
            let no_place = |source: io::Error| Error::NoPlace { path: parent.into(), source };
            fs::create_dir_all(parent).map_err(no_place)?;
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("bpf", parent, "bpf", flags, Some(c"mode=700"))
                .map_err(|errno| no_place(errno.into()))?;
        }
        let place = Place(root.to_owned());
        make(root)?;
        make(&place.maps())?;
        Ok(place)
    }

    /// The directory, if somebody made it.
    pub(crate) fn existing(root: &Path) -> Option<Place> {
        root.is_dir().then(|| Place(root.to_owned()))
    }

    /// Waits until no other process changes what is here, and keeps others
    /// waiting until the guard goes.
    pub(crate) fn lock(&self) -> Result<Guard> {
        locked(&self.0, FlockOperation::LockExclusive)
    }

    /// Whether this is still the directory that was locked: whoever had the lock
    /// before may have taken it away.
    pub(crate) fn is_locked_by(&self, guard: &Guard) -> bool {
        match (fstat(&guard.0), stat(&self.0)) {
            (Ok(locked), Ok(here)) => (locked.st_dev, locked.st_ino) == (here.st_dev, here.st_ino),
            _ => false,
        }
    }

    /// Lets others know that somebody relies on what is here.
    pub(crate) fn use_it(&self) -> Result<Guard> {
        locked(&self.maps(), FlockOperation::LockShared)
    }

    /// Makes its caller the reader of a queue, until it lets the guard go; `None` if
    /// another is.
    pub(crate) fn read_queue(&self, at: u32) -> Result<Option<Guard>> {
        let all = self.0.join("queues");
        make(&all)?;
        let dir = all.join(at.to_string());
        make(&dir)?;
        free(&dir)
    }

    /// Waits for nobody: `None` if somebody relies on what is here.
    pub(crate) fn take_away(&self) -> Result<Option<Guard>> {
        free(&self.maps())
    }

    pub(crate) fn root(&self) -> &Path {
        &self.0
    }

    pub(crate) fn maps(&self) -> PathBuf {
        self.0.join("maps")
    }

    pub(crate) fn map(&self, name: &str) -> PathBuf {
        self.maps().join(name)
    }

    pub(crate) fn generation(&self, generation: &Generation) -> PathBuf {
        self.0.join(format!("{}-{}", generation.number, generation.build))
    }

    pub(crate) fn mechanism(&self, generation: &Generation, mechanism: &str) -> PathBuf {
        self.generation(generation).join(mechanism)
    }

    /// The generations of which something is left.
    pub(crate) fn generations(&self) -> Result<Vec<Generation>> {
        Ok(names(&self.0)?.iter().filter_map(|name| Generation::parse(name.to_str()?)).collect())
    }

    /// The programs pinned of a mechanism; none if it is not installed.
    pub(crate) fn programs(
        &self,
        generation: &Generation,
        mechanism: &str,
    ) -> Result<Vec<PathBuf>> {
        let dir = self.mechanism(generation, mechanism);
        if !dir.is_dir() {
            return Ok(Vec::new());
        }
        Ok(names(&dir)?.iter().map(|name| dir.join(name)).collect())
    }

    /// Where a mechanism's programs are until all of them are attached.
    pub(crate) fn part(&self, generation: &Generation, mechanism: &str) -> PathBuf {
        self.generation(generation).join(format!("{mechanism}{PART}"))
    }

    /// Removes what a process left that ended while it attached a mechanism.
    pub(crate) fn remove_parts(&self, generation: &Generation) -> Result<()> {
        let dir = self.generation(generation);
        for name in names(&dir)? {
            if name.to_string_lossy().ends_with(PART) {
                self.remove(&dir.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes the maps that are not among these.
    pub(crate) fn remove_maps_but(&self, known: &[&str]) -> Result<()> {
        for name in names(&self.maps())? {
            if known.iter().all(|known| name != *known) {
                let path = self.maps().join(name);
                fs::remove_file(&path).map_err(|source| Error::Io { path, source })?;
            }
        }
        Ok(())
    }

    /// Removes a directory of this place with all that is pinned in it; a
    /// program whose link nobody else holds is off duty then.
    pub(crate) fn remove(&self, dir: &Path) -> Result<()> {
        debug_assert!(dir.starts_with(&self.0));
        let failed = |source| Error::Io { path: dir.into(), source };
        match fs::remove_dir_all(dir) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}

fn locked(dir: &Path, how: FlockOperation) -> Result<Guard> {
    let failed =
        |errno: rustix::io::Errno| Error::Io { path: dir.to_owned(), source: errno.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = open(dir, flags, Mode::empty()).map_err(failed)?;
    flock(&fd, how).map_err(failed)?;
    Ok(Guard(fd))
}

/// The lock of a directory, if nobody has it.
fn free(dir: &Path) -> Result<Option<Guard>> {
    match locked(dir, FlockOperation::NonBlockingLockExclusive) {
        Ok(guard) => Ok(Some(guard)),
        Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a directory, unless it is there.
pub(crate) fn make(dir: &Path) -> Result<()> {
    match rustix::fs::mkdir(dir, Mode::from(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(errno) => Err(Error::Io { path: dir.into(), source: errno.into() }),
    }
}

fn is_bpf(dir: &Path) -> Result<bool> {
    match statfs(dir) {
        #[allow(clippy::cast_sign_loss, reason = "a magic number, whose sign means nothing")]
        Ok(stat) => Ok(stat.f_type as u64 & 0xffff_ffff == MAGIC),
        Err(rustix::io::Errno::NOENT) => Ok(false),
        Err(errno) => Err(Error::Io { path: dir.into(), source: errno.into() }),
    }
}

fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let failed = |source| Error::Io { path: dir.into(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        names.push(entry.map_err(failed)?.file_name());
    }
    names.sort_unstable_by(|a, b| OsStr::cmp(a, b));
    Ok(names)
}
