//! What a binary is linked with: the system's libraries and Rust's crates.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Meta, line};
use crate::run::{Result, cargo};

/// The packages with the system's libraries it is linked to, in the versions
/// whose symbols it uses.
pub(super) fn libraries(binary: &Path) -> Result<String> {
    // It wants to be where packages are made, and writes there.
    let dir = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    let failed = |error: std::io::Error| format!("{}: {error}", dir.path().display());
    fs::create_dir(dir.path().join("debian")).map_err(failed)?;
    fs::write(dir.path().join("debian/control"), "Source: ubc\n").map_err(failed)?;
    let binary = binary.canonicalize().map_err(|e| format!("{}: {e}", binary.display()))?;
    let mut command = Command::new("dpkg-shlibdeps");
    let said = line(command.arg("-O").arg(binary).current_dir(dir.path()))?;
    let depends = said.lines().find_map(|line| line.strip_prefix("shlibs:Depends="));
    depends.map(str::to_owned).ok_or_else(|| format!("dpkg-shlibdeps: {said:?}"))
}

/// The crates that are linked into it, with their licences.
pub(super) fn linked(package: &str, meta: &Meta) -> Result<String> {
    let mut command = cargo();
    command.args(["tree", "--locked", "--package", package, "--edges", "normal,no-proc-macro"]);
    command.args(["--prefix", "none", "--no-dedupe", "--format", "{p}: {l}; {r}"]);
    let said = line(&mut command)?;
    // Without our own, which are at a path.
    let crates: BTreeSet<&str> = said.lines().filter(|line| !line.contains(" (")).collect();
    let crates: Vec<&str> = crates.into_iter().collect();
    let upstream = &meta.upstream;
    Ok(format!("Rust crates linked into {package} {upstream}:\n\n{}\n", crates.join("\n")))
}
