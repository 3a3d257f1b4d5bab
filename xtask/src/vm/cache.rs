//! Where images are kept between runs: outside the tree, so that every
//! checkout shares them and `cargo clean` spares them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::run::Result;

use super::say;

/// Instead of the usual place.
const VARIABLE: &str = "UBC_VM_CACHE";
/// What nobody used for so long is of a recipe nobody has any more.
const STALE: Duration = Duration::from_hours(14 * 24);

/// The cache, created if need be.
pub(crate) fn dir() -> Result<PathBuf> {
    let var = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let dir =
        place(var(VARIABLE), var("XDG_CACHE_HOME"), var("HOME"), fs::metadata("/root/.").is_ok());
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    dir.canonicalize().map_err(|error| format!("{}: {error}", dir.display()))
}

fn place(
    chosen: Option<PathBuf>,
    cache_home: Option<PathBuf>,
    home: Option<PathBuf>,
    root: bool,
) -> PathBuf {
    let everyones = PathBuf::from("/var/cache");
    let usual = || if root { everyones } else { home.map_or("/tmp".into(), |h| h.join(".cache")) };
    chosen.unwrap_or_else(|| cache_home.unwrap_or_else(usual).join("ubc-vm"))
}

/// Holds the others off while one builds; freed when dropped or dead.
pub(crate) fn lock(name: &str) -> Result<File> {
    let path = dir()?.join(format!("{name}.lock"));
    let failed = |error| format!("{}: {error}", path.display());
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    if file.try_lock().is_err() {
        say(&format!("waiting for another build of {name}"));
        file.lock().map_err(failed)?;
    }
    Ok(file)
}

/// Notes that this directory is in use.
pub(super) fn touch(dir: &Path) {
    // Only housekeeping depends on it.
    let _ = fs::write(dir.join("used"), "");
}

/// Removes what builds that broke off left, and what was long unused, of those
/// directories in `dir` whose names start so.
pub(super) fn prune(dir: &Path, prefix: &str) -> Result<()> {
    let entries = fs::read_dir(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let used = fs::metadata(path.join("used")).and_then(|meta| meta.modified());
        if name.starts_with(prefix) && is_stale(&name, used.ok()) {
            say(&format!("removing {}", path.display()));
            fs::remove_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

fn is_stale(name: &str, used: Option<SystemTime>) -> bool {
    let age = used.and_then(|used| used.elapsed().ok()).unwrap_or_default();
    Path::new(name).extension().is_some_and(|ext| ext == "part") || age > STALE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_goes_where_it_is_told_to() {
        let path = |s: &str| Some(PathBuf::from(s));
        assert_eq!(place(path("/a"), path("/b"), path("/h"), true), Path::new("/a"));
        assert_eq!(place(None, path("/b"), path("/h"), true), Path::new("/b/ubc-vm"));
        assert_eq!(place(None, None, path("/h"), true), Path::new("/var/cache/ubc-vm"));
        assert_eq!(place(None, None, path("/h"), false), Path::new("/h/.cache/ubc-vm"));
    }

    #[test]
    fn only_leftovers_and_old_images_are_stale() {
        let long_ago = SystemTime::now() - STALE - Duration::from_secs(1);
        assert!(is_stale("trixie-0.part", None));
        assert!(is_stale("trixie-0", Some(long_ago)));
        assert!(!is_stale("trixie-0", Some(SystemTime::now())));
        assert!(!is_stale("trixie-0", None));
    }
}
