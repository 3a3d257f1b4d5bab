//! promtool, Prometheus's own checker: taken out of Debian's package, because
//! installing that would start a server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::run::{Result, shown};
use crate::vm::{cache_dir, cache_lock};

fn home() -> Result<PathBuf> {
    Ok(cache_dir()?.join("promtool"))
}

/// The directory with promtool in it, if it is there.
pub(crate) fn fetched() -> Option<PathBuf> {
    home().ok().filter(|bin| bin.join("promtool").is_file())
}

/// The same, fetched if need be: 20 MB.
pub(crate) fn ensure() -> Result<()> {
    if fetched().is_some() {
        return Ok(());
    }
    let _lock = cache_lock("promtool")?;
    // Perhaps the one we waited for fetched it.
    if fetched().is_some() {
        return Ok(());
    }
    let part = cache_dir()?.join("promtool.part");
    let failed = |error: std::io::Error| format!("{}: {error}", part.display());
    if part.exists() {
        fs::remove_dir_all(&part).map_err(failed)?;
    }
    fs::create_dir_all(&part).map_err(failed)?;
    println!("fetching promtool for the tests of metrics and alerts");
    let quiet = |command: &mut Command| {
        let output = command.current_dir(&part).output();
        let output = output.map_err(|error| format!("{}: {error}", shown(command)))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}", shown(command), said.lines().last().unwrap_or_default()))
    };
    quiet(Command::new("apt-get").args(["download", "prometheus"]))?;
    let mut packages = fs::read_dir(&part).map_err(failed)?;
    let package = packages.next().ok_or("apt-get download prometheus: no file")?.map_err(failed)?;
    quiet(Command::new("dpkg-deb").arg("-x").arg(package.path()).arg("."))?;
    // Of all it has only this is wanted.
    let bin = part.join("usr/bin");
    fs::remove_file(bin.join("prometheus")).map_err(failed)?;
    fs::rename(bin, home()?).map_err(failed)?;
    fs::remove_dir_all(&part).map_err(failed)
}
