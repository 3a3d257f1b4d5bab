//! Writing a file so that nobody ever sees half of it.

use std::fs::{File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::Lock;
use crate::document::Document;
use crate::error::Error;

/// Mode of a file that was not there: all may read it, as with vzctl.
const MODE: u32 = 0o644;

/// A new content on disk beside the old one. Dropped, it goes.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    /// None once it is in place, or when it is there already.
    temp: Option<PathBuf>,
}

impl Staged {
    /// Prepares a file, to take the place of the one there is on
    /// [`Staged::commit`]. The lock is of its directory.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn new(_lock: &Lock, path: &Path, document: &Document) -> Result<Staged, Error> {
        let bytes = &document.to_bytes();
        let failed = Error::io("write", path);
        // A link stays a link: what it leads to is replaced.
        let target = match path.canonicalize() {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let old = match std::fs::metadata(&target) {
            Ok(old) if old.is_file() => Some(old),
            Ok(_) => return Err(failed(io::Error::other("not a regular file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        if old.is_some() && std::fs::read(&target).map_err(&failed)? == *bytes {
            return Ok(Staged { target, temp: None });
        }
        let temp = temporary(&target).ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        // What a writer left that lost power.
        match std::fs::remove_file(&temp) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temp)
            .map_err(&failed)?;
        let staged = Staged { target, temp: Some(temp) };
        let mut write = || {
            file.write_all(bytes)?;
            if let Some(old) = &old {
                std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
            }
            // After the owner, whose change takes bits of the mode away.
            let mode = old.as_ref().map_or(MODE, |old| old.mode() & 0o7777);
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()
        };
        write().map_err(&failed)?;
        Ok(staged)
    }

    /// Puts it in place of the old one.
    ///
    /// # Errors
    ///
    /// The system refuses; the old one is there then. If only the directory
    /// cannot be flushed, the new one is.
    pub fn commit(mut self) -> Result<(), Error> {
        let Some(temp) = self.temp.clone() else { return Ok(()) };
        let failed = Error::io("write", &self.target);
        std::fs::rename(&temp, &self.target).map_err(&failed)?;
        self.temp = None;
        let dir = self.target.parent().unwrap_or(Path::new("."));
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(&failed)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(temp) = &self.temp {
            // A failure leaves a hidden file that the next writer removes.
            drop(std::fs::remove_file(temp));
        }
    }
}

/// Hidden, in the same directory, and no `.conf`: no reader takes it for one.
fn temporary(target: &Path) -> Option<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(target.file_name()?);
    name.push(".ubc-new");
    Some(target.with_file_name(name))
}
