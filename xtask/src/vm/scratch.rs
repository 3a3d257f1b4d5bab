//! The directory of one running machine: its sockets and logs.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::run::Result;

const PREFIX: &str = "ubc-vm-";
/// Holds the process id of the owner; a kept machine's directory has none.
const OWNER: &str = "owner";

/// A directory of our own, removed when dropped. Not in the cache: the path of
/// a socket must be short.
pub(super) fn owned() -> Result<TempDir> {
    sweep(&std::env::temp_dir());
    let temp = make()?;
    let owner = temp.path().join(OWNER);
    fs::write(&owner, std::process::id().to_string())
        .map_err(|error| format!("{}: {error}", owner.display()))?;
    Ok(temp)
}

/// One that stays.
pub(super) fn kept() -> Result<PathBuf> {
    Ok(make()?.keep())
}

fn make() -> Result<TempDir> {
    let temp = tempfile::Builder::new().prefix(PREFIX).tempdir();
    temp.map_err(|error| format!("a temporary directory: {error}"))
}

/// Removes what processes that were killed left behind.
fn sweep(dir: &Path) {
    let ours = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX))
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(ours) {
        let owner = fs::read_to_string(path.join(OWNER)).unwrap_or_default();
        if owner.parse::<u32>().is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            // Perhaps another process sweeps too.
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_dead_processes_left_is_swept() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str, owner: Option<String>| {
            let path = dir.path().join(name);
            fs::create_dir(&path).unwrap();
            if let Some(owner) = owner {
                fs::write(path.join(OWNER), owner).unwrap();
            }
            path
        };
        // Above the largest process id there can be.
        let dead = make("ubc-vm-dead", Some("4194305".to_owned()));
        let alive = make("ubc-vm-alive", Some(std::process::id().to_string()));
        let kept = make("ubc-vm-kept", None);
        let other = make("other", Some("4194305".to_owned()));
        sweep(dir.path());
        assert!(!dead.exists());
        assert!(alive.exists() && kept.exists() && other.exists());
    }
}
