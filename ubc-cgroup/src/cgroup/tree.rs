//! The processes of a cgroup and of the cgroups nested in it.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Dir, FileType, OFlags};
use rustix::io::Errno;

use super::Cgroup;
use crate::files;
use crate::{Bounds, Error, Result, parse};

/// How deep a subtree is followed; the kernel's own default is unlimited.
pub(super) const DEEPEST: usize = 64;

impl Cgroup {
    /// The processes in the cgroup and below, each once, in no order, and
    /// whether there are more than `bounds` allows (then the list is cut).
    ///
    /// # Errors
    ///
    /// The cgroup is gone or unreadable.
    pub fn pids(&self, bounds: &Bounds) -> Result<(Vec<u32>, bool)> {
        let mut found = Found { pids: Vec::new(), cgroups: 0, truncated: false };
        let own = self.dir.try_clone().map_err(|e| Error::io("duplicate", &self.path, e))?;
        // A cgroup that was never ours to read is an error, a nested one that
        // vanishes while we look is not.
        files::open(&self.dir, "cgroup.procs", OFlags::RDONLY)
            .map_err(|error| self.failed("open", "cgroup.procs", error))?;
        self.collect(&own, DEEPEST, bounds, &mut found)?;
        found.pids.sort_unstable();
        found.pids.dedup();
        Ok((found.pids, found.truncated))
    }

    fn collect(
        &self,
        dir: &OwnedFd,
        depth: usize,
        bounds: &Bounds,
        found: &mut Found,
    ) -> Result<()> {
        found.cgroups += 1;
        if found.cgroups > bounds.cgroups || found.pids.len() > bounds.processes {
            found.truncated = true;
            return Ok(());
        }
        match files::read(dir, "cgroup.procs") {
            Ok(text) => found.pids.extend(
                parse::pids(&text)
                    .map_err(|error| Error::parse(self.path.join("cgroup.procs"), error))?,
            ),
            // A threaded cgroup: the domain above lists its processes.
            Err(Errno::OPNOTSUPP | Errno::NOENT | Errno::NODEV) => {}
            Err(error) => return Err(self.failed("read", "cgroup.procs", error)),
        }
        let children = match children(dir) {
            Ok(children) => children,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(Error::io("list", &self.path, error)),
        };
        for child in children {
            if depth == 0 {
                found.truncated = true;
                return Ok(());
            }
            match files::open(dir, child.as_c_str(), OFlags::RDONLY | OFlags::DIRECTORY) {
                Ok(handle) => self.collect(&handle, depth - 1, bounds, found)?,
                Err(Errno::NOENT | Errno::NODEV) => {}
                Err(error) => {
                    return Err(Error::io(
                        "open",
                        self.path.join(child.to_string_lossy().as_ref()),
                        error,
                    ));
                }
            }
        }
        Ok(())
    }
}

struct Found {
    pids: Vec<u32>,
    cgroups: usize,
    truncated: bool,
}

/// The nested cgroups of a directory. Their names may be any bytes.
pub(super) fn children(dir: impl AsFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    // read_from opens the directory anew, so our offset is our own.
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_type() != FileType::Directory {
            continue;
        }
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
