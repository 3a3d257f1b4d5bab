//! The cgroup of a container that somebody else made.

use std::fs::File;
use std::os::fd::AsFd;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Cgroup, InvalidName};
use crate::{Error, Host, Result, files, parse};

impl Cgroup {
    /// The cgroup of the container a process belongs to: the one the process
    /// is in, or, where its cgroup namespace starts above that (as with a
    /// systemd that has moved on to `init.scope`), the start of the namespace.
    ///
    /// The caller makes sure that the process is still the one meant: see
    /// [`Cgroup::pids`].
    ///
    /// # Errors
    ///
    /// No such process, or it is in the root cgroup, which is the machine.
    pub fn of_process(host: &Host, pid: u32) -> Result<Cgroup> {
        let path = format!("/proc/{pid}/cgroup");
        let whole = membership(&path)?;
        let own = host.below_mount(&whole).unwrap_or(&whole);
        let inside = inside(pid, &path)?;
        let name = match inside {
            Some(inside) if !inside.starts_with("/..") => {
                own.strip_suffix(inside.trim_end_matches('/')).unwrap_or(own)
            }
            _ => own,
        };
        if name.trim_matches('/').is_empty() {
            return Err(Error::Name { name: whole, reason: InvalidName::Empty });
        }
        Cgroup::open(host, name)
    }

    /// Whether a process is in the cgroup or below.
    ///
    /// # Errors
    ///
    /// No such process.
    pub fn holds(&self, pid: u32) -> Result<bool> {
        Ok(self.contains(&files::read_path(&format!("/proc/{pid}/cgroup"))?))
    }
}

fn membership(path: &str) -> Result<String> {
    let text = files::read_path(path)?;
    let member = parse::membership(&text).unwrap_or(b"/");
    let member = std::str::from_utf8(member)
        .map_err(|error| Error::io("read", path, std::io::Error::other(error)))?;
    Ok(member.to_owned())
}

/// What a process in the same cgroup namespace reads; `None` where that is
/// ours. The kernel words the file for the namespace of the reader.
fn inside(pid: u32, path: &str) -> Result<Option<String>> {
    let namespace = format!("/proc/{pid}/ns/cgroup");
    let failed = |error: std::io::Error| Error::io("open", &namespace, error);
    let file = File::open(&namespace).map_err(failed)?;
    let same = |file: &File| -> std::io::Result<bool> {
        let (own, theirs) = (rustix::fs::stat("/proc/self/ns/cgroup")?, rustix::fs::fstat(file)?);
        Ok((own.st_dev, own.st_ino) == (theirs.st_dev, theirs.st_ino))
    };
    if same(&file).map_err(failed)? {
        return Ok(None);
    }
    std::thread::scope(|scope| {
        let read = scope.spawn(|| {
            let kind = LinkNameSpaceType::ControlGroup;
            move_into_link_name_space(file.as_fd(), Some(kind))
                .map_err(|error| Error::io("enter", &namespace, error))?;
            membership(path).map(Some)
        });
        read.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
