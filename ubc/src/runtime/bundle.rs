//! The config.json of a bundle, which belongs to whoever calls the runtime: it
//! is read, and the runtime alone reads another one there.

mod cover;

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::oci::LONGEST;

/// An open config.json.
#[derive(Debug)]
pub(super) struct Bundle {
    path: PathBuf,
    file: OwnedFd,
    pub(super) text: Vec<u8>,
}

impl Bundle {
    /// Reads it, as the runtime will.
    pub(super) fn open(path: &Path) -> io::Result<Bundle> {
        // Not to wait for a writer where somebody put a pipe.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(CWD, path, flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut text = Vec::new();
        (&file).take(LONGEST + 1).read_to_end(&mut text)?;
        if text.len() as u64 > LONGEST {
            return Err(io::Error::other(format!("longer than {LONGEST} bytes")));
        }
        Ok(Bundle { path: path.to_owned(), file: file.into(), text })
    }

    /// From here on this process, and what it becomes and starts, reads `text`
    /// there, and nobody else does: neither the file nor its directory changes,
    /// and nothing is left when they have ended. The text is kept in a file
    /// in `dir` that has no name when this returns.
    ///
    /// # Errors
    ///
    /// Everything is as before.
    pub(super) fn cover(&self, text: &[u8], dir: &Path) -> io::Result<()> {
        cover::cover(&self.path, &self.file, text, dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_or_a_directory_is_refused_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Bundle::open(dir.path()).is_err());
        let path = dir.path().join("config.json");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert_eq!(Bundle::open(&path).unwrap_err().to_string(), "not a regular file");
    }

    #[test]
    fn a_file_that_never_ends_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        File::create(&path).unwrap().set_len(LONGEST + 1).unwrap();
        let error = Bundle::open(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("longer than {LONGEST} bytes"));
    }
}
