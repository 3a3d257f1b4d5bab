//! Limiter: gives the kernel the limits its controllers can keep.
//!
//! | row | file | value |
//! |---|---|---|
//! | numproc | `pids.max` | the lower of barrier and limit: fork is a HARD site |
//! | physpages | `memory.max` | limit, in bytes; charges are SOFT |
//! | physpages | `memory.high` | barrier, when it is neither 0 nor at or above the limit |
//! | swappages | `memory.swap.max` | limit, in bytes |
//! | oomguarpages | `memory.low` | barrier, in bytes; a guarantee |
//!
//! Why so. 042stab ignored the barrier of physpages, and configurations carry
//! 0 there, so 0 sets nothing; a barrier someone chose between 0 and the
//! limit is where reclaim starts early, which is what a barrier is for and
//! refuses nobody. oomguarpages goes to `memory.low`, not `memory.min`: low
//! keeps memory from reclaim while anybody else has some to give, min keeps
//! it even when the machine then has to kill, and guarantees are sold beyond
//! what the machine has (VSwap sets oomguarpages to all of a container's
//! RAM). An unlimited guarantee promises what no machine has, so it sets 0.
//! vmguarpages is a promise about granting address space, which no cgroup
//! file knows, and sets nothing.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use ubc_core::{Limits, PerResource, Resource};

use crate::{Cgroup, Enforced, Error, Result, files, parse};

mod plan;

use plan::Write;

/// linux/magic.h.
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// Writes limits into the files of one cgroup.
#[derive(Debug)]
pub struct Limiter {
    dir: OwnedFd,
    at: PathBuf,
}

impl Limiter {
    /// A limiter for a container.
    ///
    /// # Errors
    ///
    /// Out of descriptors.
    pub fn new(cgroup: &Cgroup) -> Result<Limiter> {
        Self::of_directory(cgroup.as_dir(), cgroup.path())
    }

    /// A limiter for a directory with controller files in it.
    fn of_directory(dir: BorrowedFd<'_>, at: &Path) -> Result<Limiter> {
        let dir = dir.try_clone_to_owned().map_err(|error| Error::io("duplicate", at, error))?;
        Ok(Limiter { dir, at: at.to_owned() })
    }

    /// Writes the given limits (`None`: leave the row alone), reads each
    /// back, and says who enforces each row now. All are applied, or none:
    /// after a failure the files written before hold what they held.
    ///
    /// A limit nobody can apply is no error; it is reported as
    /// [`Enforced::ObservedOnly`], and the caller decides.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] with file, row, value and errno;
    /// [`Error::LimitReadsBack`] when the kernel keeps another value;
    /// [`Error::Removed`].
    pub fn apply(&self, limits: &PerResource<Option<Limits>>) -> Result<PerResource<Enforced>> {
        self.apply_all(plan::writes(limits, rustix::param::page_size() as u64))
    }

    fn apply_all(&self, writes: Vec<Write>) -> Result<PerResource<Enforced>> {
        let mut enforced = PerResource::from_fn(not_applied);
        let mut done: Vec<(Write, String)> = Vec::new();
        for write in writes {
            let Some(before) = self.before(&write, &done)? else { continue };
            if before != write.value {
                self.write(&write, before, &mut done)?;
            }
            if write.main {
                enforced[write.resource] = write.enforced(false);
            }
        }
        Ok(enforced)
    }

    /// What a file holds before it is written; `None` when there is no such
    /// file, and so no such controller, in a cgroup that is still there.
    fn before(&self, write: &Write, done: &[(Write, String)]) -> Result<Option<String>> {
        match self.current(write.file) {
            Ok(before) => Ok(Some(before)),
            // A removed cgroup has no files at all.
            Err(Errno::NOENT) if self.is_removed() => {
                Err(self.undo(done, write, Errno::NODEV.into()))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(self.undo(done, write, error.into())),
        }
    }

    /// Writes a value, notes what was there, and checks what is there now.
    fn write(&self, write: &Write, before: String, done: &mut Vec<(Write, String)>) -> Result<()> {
        if let Err(error) = files::write(&self.dir, write.file, &write.value) {
            return Err(self.undo(done, write, error));
        }
        done.push((write.clone(), before));
        match self.current(write.file) {
            Ok(got) if got == write.value => Ok(()),
            Ok(got) => {
                self.restore(done);
                Err(Error::LimitReadsBack {
                    resource: write.resource,
                    path: self.at.join(write.file),
                    wanted: write.value.clone(),
                    got,
                })
            }
            Err(error) => Err(self.undo(done, write, error.into())),
        }
    }

    /// Every living cgroup has a `cgroup.procs`.
    fn is_removed(&self) -> bool {
        let is_cgroup = rustix::fs::fstatfs(&self.dir)
            .is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(CGROUP2_SUPER_MAGIC));
        is_cgroup && files::open(&self.dir, "cgroup.procs", OFlags::PATH).is_err()
    }

    /// The value of a file as the kernel prints it.
    fn current(&self, file: &str) -> Result<String, Errno> {
        let text = files::read(&self.dir, file)?;
        match parse::limit(&text) {
            Ok(Some(value)) => Ok(value.to_string()),
            Ok(None) => Ok("max".to_owned()),
            Err(_) => Err(Errno::BADMSG),
        }
    }

    /// Puts everything back and builds the error.
    fn undo(&self, done: &[(Write, String)], failed: &Write, source: io::Error) -> Error {
        if source.raw_os_error() == Some(libc::ENODEV) {
            return Error::Removed { path: self.at.clone() };
        }
        Error::Limit {
            resource: failed.resource,
            path: self.at.join(failed.file),
            value: failed.value.clone(),
            source,
            restore: self.restore(done),
        }
    }

    /// Puts back what was there, last written first; returns what could not.
    fn restore(&self, done: &[(Write, String)]) -> Vec<(PathBuf, io::Error)> {
        done.iter()
            .rev()
            .filter_map(|(write, before)| {
                let error = files::write(&self.dir, write.file, before).err()?;
                log::warn!(
                    "{}/{}: cannot restore {before}: {error}",
                    self.at.display(),
                    write.file
                );
                Some((self.at.join(write.file), error))
            })
            .collect()
    }
}

/// What is said of a row whose limit was not written.
pub(crate) fn not_applied(resource: Resource) -> Enforced {
    Enforced::ObservedOnly(
        match resource {
            Resource::PhysPages | Resource::SwapPages | Resource::OomGuarPages => {
                "memory controller is not in cgroup v2 here"
            }
            Resource::NumProc => "pids controller is not in cgroup v2 here",
            Resource::VmGuarPages => "no cgroup file promises address space",
            Resource::KmemSize | Resource::DcacheSize => "cgroup v2 limits it only with physpages",
            _ => "no controller refuses it",
        }
        .into(),
    )
}

#[cfg(test)]
mod tests;
