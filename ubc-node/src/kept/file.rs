//! Small files that are whole at any moment.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use log::warn;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ubc_core::ContainerId;

/// How the files are called after the container's id.
pub(super) const STATE: &str = "json";
pub(super) const RECORD: &str = "counts";

/// Longest file that is read.
const LONGEST: u64 = 16 << 20;

/// Replaces a file in one step. It has to outlive this process, not the
/// machine: nothing waits for a disk.
pub(super) fn write(path: &Path, content: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_vec(content)?;
    let fresh = path.with_added_extension("new");
    std::fs::write(&fresh, &text).or_else(|error| {
        let dir = path.parent().filter(|_| error.kind() == io::ErrorKind::NotFound).ok_or(error)?;
        // For root only, like all that tells of containers.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        std::fs::write(&fresh, &text)
    })?;
    std::fs::rename(&fresh, path)
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

/// `None` if there is none, or none that makes sense.
pub(super) fn read_or_put_aside<T: DeserializeOwned>(path: &Path) -> Option<T> {
    match read(path) {
        Ok(content) => Some(content),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            let aside = path.with_added_extension("damaged");
            let put = std::fs::rename(path, &aside).err();
            let put = put.map_or(format!("is now {}", aside.display()), |why| why.to_string());
            warn!("{}: {error}; {put}", path.display());
            None
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
        assert_eq!(read_or_put_aside::<Vec<u32>>(&path), Some(vec![1, 2, 3]));
        for text in ["", "[1, 2", "{}", "[1] x"] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(read_or_put_aside::<Vec<u32>>(&path), None, "{text}");
            let aside = path.with_added_extension("damaged");
            assert_eq!(std::fs::read_to_string(aside).unwrap(), text);
            assert!(!path.exists());
        }
        write(&path, &vec![4]).unwrap();
        assert_eq!(read_or_put_aside::<Vec<u32>>(&path), Some(vec![4]));
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
