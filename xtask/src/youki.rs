//! youki, a container runtime in no Debian release: built from crates.io.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use crate::run::{Result, cargo, shown};
use crate::vm::{cache_dir, cache_lock};

const VERSION: &str = "0.7.0";

/// Without seccomp, systemd and cgroup v1: what links against nothing but
/// libc, and so runs in every guest.
const FEATURES: [&str; 3] = ["--no-default-features", "--features", "v2"];

fn home() -> Result<PathBuf> {
    Ok(cache_dir()?.join(format!("youki-{VERSION}")))
}

/// The directory with youki in it, if it was built.
pub(crate) fn built() -> Option<PathBuf> {
    home().ok().map(|home| home.join("bin")).filter(|bin| bin.join("youki").is_file())
}

/// The same, built if need be, in 3 to 5 minutes.
pub(crate) fn ensure() -> Result<PathBuf> {
    if let Some(bin) = built() {
        return Ok(bin);
    }
    let _lock = cache_lock("youki")?;
    // Perhaps the one we waited for built it.
    if let Some(bin) = built() {
        return Ok(bin);
    }
    let home = home()?;
    let part = cache_dir()?.join(format!("youki-{VERSION}.part"));
    let failed = |error: std::io::Error| format!("{}: {error}", part.display());
    fs::create_dir_all(&part).map_err(failed)?;
    println!("building youki {VERSION} for the tests of runtimes");
    let mut command = cargo();
    let version = format!("={VERSION}");
    command.args(["install", "youki", "--locked", "--version", &version]).args(FEATURES);
    // Not in the tree, whose settings are not meant for it, and small rather
    // than fast.
    command.arg("--root").arg(&part).current_dir(&part);
    command.env("CARGO_TARGET_DIR", part.join("target")).env_remove("RUSTFLAGS");
    command
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", shown(&command)))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().filter(|line| line.starts_with("error")).collect();
        return Err(format!("{}: {}", shown(&command), last.join("; ")));
    }
    fs::remove_dir_all(part.join("target")).map_err(failed)?;
    fs::rename(&part, &home).map_err(failed)?;
    Ok(home.join("bin"))
}
