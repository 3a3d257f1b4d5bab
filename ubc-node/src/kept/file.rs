//! Small files that are whole at any moment.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use log::warn;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ubc_core::ContainerId;

use crate::error::may_pass;

/// How the files are called after the container's id.
pub(super) const STATE: &str = "json";
pub(super) const RECORD: &str = "counts";

/// Longest file that is read.
const LONGEST: u64 = 16 << 20;

/// Replaces a file in one step. It has to outlive this process, not the
/// machine: nothing waits for a disk. After an error the file is the old one,
/// and nothing of the new one takes room.
pub(super) fn write(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(content)?;
    let fresh = fresh(path);
    let written = open(&fresh).and_then(|mut file| {
        // Over what was set aside for it, if anything was.
        file.write_all(&text)?;
        file.set_len(text.len() as u64)
    });
    written.and_then(|()| std::fs::rename(&fresh, path)).map_err(|error| without(&fresh, &error))
}

/// Sets room aside for the next content of a file, so that writing it does not
/// fail for want of room when it is too late to say so.
pub(super) fn reserve(path: &Path, bytes: u64) -> io::Result<()> {
    let fresh = fresh(path);
    let reserved =
        open(&fresh).and_then(|file| match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
            // Some file systems cannot: there it is as it always was.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            Err(error) => Err(error.into()),
        });
    reserved.map_err(|error| without(&fresh, &error))
}

/// Removes a file, and what was begun or set aside of its next content.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    for path in [path, &fresh(path)] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Where the next content of a file is written.
fn fresh(path: &Path) -> PathBuf {
    path.with_added_extension("new")
}

fn open(fresh: &Path) -> io::Result<File> {
    let open = || File::options().create(true).truncate(false).write(true).open(fresh);
    open().or_else(|error| {
        let dir = fresh.parent().filter(|_| error.kind() == io::ErrorKind::NotFound);
        // For root only, like all that tells of containers.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir.ok_or(error)?)?;
        open()
    })
}

/// Takes away what could not be finished; why it could not.
fn without(fresh: &Path, error: &io::Error) -> io::Error {
    if let Err(error) = std::fs::remove_file(fresh)
        && error.kind() != io::ErrorKind::NotFound
    {
        warn!("cannot remove {}: {error}", fresh.display());
    }
    io::Error::new(error.kind(), format!("{}: {error}", fresh.display()))
}

/// The containers of which there is a state.
pub(super) fn ids(dir: &Path) -> io::Result<Vec<ContainerId>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(STATE)?.strip_suffix('.'));
        ids.extend(id.and_then(|id| id.parse::<ContainerId>().ok()));
    }
    Ok(ids)
}

/// `None` if there is none, or none that makes sense. With `all_or_none` it is an error if it
/// cannot be read now.
pub(super) fn read_or_put_aside<T: DeserializeOwned>(
    path: &Path,
    all_or_none: bool,
) -> io::Result<Option<T>> {
    match read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if all_or_none && may_pass(&error) => {
            Err(io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        }
        Err(error) => {
            let aside = path.with_added_extension("damaged");
            let put = std::fs::rename(path, &aside).err();
            let put = put.map_or(format!("is now {}", aside.display()), |why| why.to_string());
            warn!("{}: {error}; {put}", path.display());
            Ok(None)
        }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too long"));
    }
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_file_is_put_aside_and_the_next_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("below").join("101.json");
        write(&path, &vec![1, 2, 3]).unwrap();
        let read = || read_or_put_aside::<Vec<u32>>(&path, true).unwrap();
        assert_eq!(read(), Some(vec![1, 2, 3]));
        for text in ["", "[1, 2", "{}", "[1] x"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read(), None, "{text}");
            let aside = path.with_added_extension("damaged");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
            assert!(!path.exists());
        }
        write(&path, &vec![4]).unwrap();
        assert_eq!(read(), Some(vec![4]));
    }

    #[test]
    fn only_whole_files_of_containers_are_taken_for_containers() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(ids(&dir.path().join("none")).unwrap(), []);
        for name in ["101.json", "102.json.new", "103.counts", "x.json", "104.json.damaged"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(ids(dir.path()).unwrap(), [ContainerId::new(101).unwrap()]);
    }
}
