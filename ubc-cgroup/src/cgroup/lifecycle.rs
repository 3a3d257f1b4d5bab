//! Making, killing and removing a container's cgroup.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;

use super::Cgroup;
use crate::files;
use crate::parse::{self, Stat};
use crate::{Error, Host, Result};

/// The controllers beancounter rows use; a container is nothing without
/// them where the hierarchy has them.
const NEEDED: [&str; 2] = ["memory", "pids"];

/// The controllers of the schedulers. Each may be refused for reasons of its
/// own: cpu while real-time tasks run, where the kernel groups them.
const WANTED: [&str; 3] = ["cpu", "cpuset", "io"];

/// How long processes may take to die of a SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

impl Cgroup {
    /// Makes a cgroup, with the parents it lacks, and enables the memory,
    /// pids, cpu, cpuset and io controllers on the way down where the
    /// hierarchy has them. Other controllers are left as they are. What was
    /// made is removed again when a later step fails.
    ///
    /// If the kernel refuses cpu, cpuset or io, that is logged, and the
    /// [`crate::Scheduler`] says which knobs it costs.
    ///
    /// # Errors
    ///
    /// The cgroup exists, its name is invalid, a parent holds processes of
    /// its own (EBUSY: cgroup v2 lets only leaves hold processes), or the
    /// kernel refuses.
    pub fn create(host: &Host, name: &str) -> Result<Cgroup> {
        let name = host.resolve(name)?;
        let mut made: Vec<(OwnedFd, String)> = Vec::new();
        let result = make(host, &name, &mut made).and_then(|()| Cgroup::open(host, name.as_str()));
        if result.is_err() {
            for (parent, child) in made.into_iter().rev() {
                if let Err(error) = rustix::fs::unlinkat(&parent, &child, AtFlags::REMOVEDIR) {
                    log::warn!("cgroup {child}, made for nothing, could not be removed: {error}");
                }
            }
        }
        result
    }

    /// Kills every process in the cgroup and below, and waits until they are
    /// gone.
    ///
    /// # Errors
    ///
    /// No `cgroup.kill` (Linux 5.14), processes that stay for 10 s, or
    /// [`Error::Removed`].
    pub fn kill(&self) -> Result<()> {
        if let Err(error) = files::write(&self.dir, "cgroup.kill", "1") {
            // Every cgroup has this file, whatever the kernel's age.
            self.populated()?;
            return Err(Error::io("write", self.path.join("cgroup.kill"), error));
        }
        let start = Instant::now();
        while self.populated()? {
            if start.elapsed() > KILL_PATIENCE {
                let millis = start.elapsed().as_millis();
                return Err(Error::StillPopulated { path: self.path.clone(), millis });
            }
            sleep(Duration::from_millis(2));
        }
        Ok(())
    }

    /// Whether a living process is in the cgroup or below.
    ///
    /// # Errors
    ///
    /// The cgroup is gone or unreadable.
    pub fn populated(&self) -> Result<bool> {
        let text = self.read("cgroup.events")?;
        let events = Stat::parse(&text)
            .map_err(|error| Error::parse(self.path.join("cgroup.events"), error))?;
        Ok(events.get("populated").unwrap_or(0) != 0)
    }

    /// Removes the cgroup and the ones nested in it.
    ///
    /// # Errors
    ///
    /// EBUSY while processes live in it: [`Cgroup::kill`] first.
    pub fn remove(self) -> Result<()> {
        remove_children(self.dir.as_fd(), &self.path, super::tree::DEEPEST)?;
        // By name from the mount: the handle must still be what it names.
        let here = rustix::fs::fstat(&self.dir).map_err(|e| Error::io("stat", &self.path, e))?;
        let (parent, last) = match self.name.as_str().rsplit_once('/') {
            None => (None, self.name.as_str()),
            Some((parent, last)) => (
                Some(
                    files::open(&self.root, parent, OFlags::PATH | OFlags::DIRECTORY)
                        .map_err(|error| self.failed("open the parent of", "", error))?,
                ),
                last,
            ),
        };
        let parent = parent.as_ref().map_or(self.root.as_fd(), AsFd::as_fd);
        let named = rustix::fs::statat(parent, last, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| self.failed("stat", "", error))?;
        if (named.st_dev, named.st_ino) != (here.st_dev, here.st_ino) {
            return Err(Error::Removed { path: self.path });
        }
        rustix::fs::unlinkat(parent, last, AtFlags::REMOVEDIR)
            .map_err(|error| Error::io("remove cgroup", &self.path, error))
    }
}

/// Makes each missing component, and enables controllers in each parent.
fn make(host: &Host, name: &super::CgroupName, made: &mut Vec<(OwnedFd, String)>) -> Result<()> {
    let mut path = host.mount().to_owned();
    let mut dir = host
        .root()
        .try_clone_to_owned()
        .map_err(|error| Error::io("duplicate", host.mount(), error))?;
    let mut components = name.components().peekable();
    while let Some(component) = components.next() {
        enable(&dir, &path)?;
        path.push(component);
        match rustix::fs::mkdirat(&dir, component, Mode::from_raw_mode(0o755)) {
            Ok(()) => {
                let parent =
                    dir.try_clone().map_err(|error| Error::io("duplicate", &path, error))?;
                made.push((parent, component.to_owned()));
            }
            Err(Errno::EXIST) if components.peek().is_some() => {}
            Err(error) => return Err(Error::io("make cgroup", &path, error)),
        }
        if components.peek().is_some() {
            dir = files::open(&dir, component, OFlags::RDONLY | OFlags::DIRECTORY)
                .map_err(|error| Error::io("open cgroup", &path, error))?;
        }
    }
    Ok(())
}

/// Enables our controllers for the children of a cgroup, where it has them
/// and they are not enabled yet.
fn enable(dir: &OwnedFd, path: &Path) -> Result<()> {
    let list = |file: &str| {
        files::read(dir, file)
            .map(|text| parse::word_list(&text))
            .map_err(|error| Error::io("read", path.join(file), error))
    };
    let available = list("cgroup.controllers")?;
    let enabled = list("cgroup.subtree_control")?;
    for controller in NEEDED.into_iter().chain(WANTED) {
        let listed = |names: &[String]| names.iter().any(|name| name == controller);
        if !listed(&available) || listed(&enabled) {
            continue;
        }
        let path = path.join("cgroup.subtree_control");
        match files::write(dir, "cgroup.subtree_control", &format!("+{controller}")) {
            Ok(()) => {}
            Err(error) if WANTED.contains(&controller) => {
                log::warn!(
                    "cannot enable the {controller} controller in {}: {error}",
                    path.display()
                );
            }
            Err(source) => return Err(Error::Controller { path, controller, source }),
        }
    }
    Ok(())
}

/// Removes what is nested in a cgroup, deepest first.
fn remove_children(dir: impl AsFd, path: &Path, depth: usize) -> Result<()> {
    let children = super::tree::children(&dir).map_err(|error| Error::io("list", path, error))?;
    for name in children {
        let child: PathBuf = path.join(name.to_string_lossy().as_ref());
        if depth == 0 {
            return Err(Error::io("remove cgroup", child, io::Error::from(Errno::NAMETOOLONG)));
        }
        match files::open(&dir, name.as_c_str(), OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(handle) => remove_children(handle, &child, depth - 1)?,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(Error::io("open cgroup", child, error)),
        }
        match rustix::fs::unlinkat(&dir, name.as_c_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(Error::io("remove cgroup", child, error)),
        }
    }
    Ok(())
}
