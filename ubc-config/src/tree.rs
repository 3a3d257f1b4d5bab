//! The directory of the files.

mod write;

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use ubc_core::{ContainerId, PageSize};

use crate::config::{Config, Read};
use crate::document::Document;
use crate::error::Error;
use crate::sample;

pub use write::Staged;

/// Where OpenVZ has them.
pub const USUAL: &str = "/etc/vz";

/// Longest file that is read, in bytes: a thousand times what vzctl writes.
pub const LONGEST: u64 = 1 << 20;

/// A directory laid out as `/etc/vz`: `vz.conf`, `conf/101.conf` and
/// `conf/ve-NAME.conf-sample`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    root: PathBuf,
}

/// Keeps other writers of a directory out, until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

impl Tree {
    /// The tree at this directory, which need not be there.
    pub fn new(root: impl Into<PathBuf>) -> Tree {
        Tree { root: root.into() }
    }

    /// The global file.
    pub fn global(&self) -> PathBuf {
        self.root.join("vz.conf")
    }

    /// Where the files of containers are.
    pub fn containers(&self) -> PathBuf {
        self.root.join("conf")
    }

    /// A container's file.
    pub fn container(&self, id: ContainerId) -> PathBuf {
        self.containers().join(format!("{id}.conf"))
    }

    /// The document of a container; `None` where it has no file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or a line that cannot.
    pub fn document(&self, id: ContainerId) -> Result<Option<Document>, Error> {
        read_file(&self.container(id))
    }

    /// What a container is to have: its file over the global one. Empty where
    /// there are none.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, or the first line that is wrong in either.
    pub fn config(&self, id: ContainerId, page: PageSize) -> Result<Read, Error> {
        let Read { config: own, notices } = understood(&self.container(id), page)?;
        let config = own.or(self.defaults(page)?);
        Ok(Read { config, notices })
    }

    /// What the global file says for every container.
    ///
    /// # Errors
    ///
    /// As [`Tree::config`].
    pub fn defaults(&self, page: PageSize) -> Result<Config, Error> {
        Ok(understood(&self.global(), page)?.config)
    }

    /// A sample by its name, with or without `ve-`: one of the directory's, or
    /// else one of ours.
    ///
    /// # Errors
    ///
    /// A name that neither has, or a file that cannot be read.
    pub fn sample(&self, name: &str) -> Result<Document, Error> {
        let short = name.strip_prefix("ve-").unwrap_or(name);
        let plain = !short.is_empty() && !short.contains(['/', '\0']);
        let path = self.containers().join(format!("ve-{short}.conf-sample"));
        match if plain { read_file(&path)? } else { None } {
            Some(document) => Ok(document),
            None => sample::document(short)
                .ok_or_else(|| Error::NoSample { name: name.to_owned(), known: self.samples() }),
        }
    }

    /// The names of all samples, in order.
    pub fn samples(&self) -> Vec<String> {
        let mut names: Vec<String> = sample::names().map(str::to_owned).collect();
        let files = self.containers().read_dir().into_iter().flatten().flatten();
        names.extend(files.filter_map(|file| {
            let name = file.file_name().into_string().ok()?;
            Some(name.strip_prefix("ve-")?.strip_suffix(".conf-sample")?.to_owned())
        }));
        names.sort();
        names.dedup();
        names
    }

    /// The containers that have a file, in order, and the names of files that
    /// are no container's although they end so.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read.
    pub fn ids(&self) -> Result<(Vec<ContainerId>, Vec<String>), Error> {
        let dir = self.containers();
        let failed = Error::io("read", &dir);
        let (mut ids, mut others) = (Vec::new(), Vec::new());
        for file in dir.read_dir().map_err(&failed)? {
            let name = file.map_err(&failed)?.file_name();
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".conf")) else {
                continue;
            };
            match name.parse::<ContainerId>() {
                // 0.conf is the host's own; 007.conf is nobody's.
                Ok(id) if id.is_host() => {}
                Ok(id) if id.to_string() == name => ids.push(id),
                _ => others.push(format!("{name}.conf")),
            }
        }
        ids.sort_unstable();
        others.sort_unstable();
        Ok((ids, others))
    }

    /// [`lock`] for the directory of the containers' files, which it makes.
    ///
    /// # Errors
    ///
    /// As [`lock`].
    pub fn lock(&self) -> Result<Lock, Error> {
        let dir = self.containers();
        std::fs::create_dir_all(&dir).map_err(Error::io("make", &dir))?;
        lock(&dir)
    }
}

/// Waits until no other writer is at work in a directory, and keeps the next
/// ones out.
///
/// # Errors
///
/// A lock file (`.ubc.lock`) that cannot be made.
pub fn lock(dir: &Path) -> Result<Lock, Error> {
    let path = dir.join(".ubc.lock");
    let failed = Error::io("lock", &path);
    let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Nobody else may open it: an open file is all it takes to hold it.
    let file = rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| failed(error.into()))?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))
        .map_err(|error| failed(error.into()))?;
    Ok(Lock { _file: file })
}

/// Reads a file; `None` where there is none.
///
/// # Errors
///
/// A file that cannot be read, is no file or longer than [`LONGEST`], or a line
/// that no shell would take.
pub fn read_file(path: &Path) -> Result<Option<Document>, Error> {
    let failed = Error::io("read", path);
    // Not to wait for a writer where somebody put a pipe.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    };
    if !file.metadata().map_err(&failed)?.is_file() {
        return Err(failed(std::io::Error::other("not a regular file")));
    }
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(&failed)?;
    if bytes.len() as u64 > LONGEST {
        return Err(failed(std::io::Error::other(format!("longer than {LONGEST} bytes"))));
    }
    Document::parse(&bytes)
        .map(Some)
        .map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

fn understood(path: &Path, page: PageSize) -> Result<Read, Error> {
    let Some(document) = read_file(path)? else { return Ok(Read::default()) };
    Config::read(&document, page)
        .map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
