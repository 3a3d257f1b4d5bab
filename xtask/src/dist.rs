//! `cargo xtask dist`: the Debian packages.
//!
//! What goes where is in `ubc.rs`, `library.rs` and `dkms.rs`, what the scripts do in
//! dist/debian. dpkg-deb packs a tree that is made here; why neither debhelper
//! nor cargo-deb does is in docs/dependencies.md.

mod dkms;
mod library;
mod linked;
mod meta;
mod nameless;
mod reproduced;
mod tree;
mod ubc;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::packages;
use crate::run::{Result, cargo, root, shown};

pub(crate) use meta::Meta;
pub(crate) use tree::Packing;

/// Builds command and library in that profile, and packs them into `out`; where the
/// command is. Where it is to be shown, whoever has the source makes the same.
pub(crate) fn dist(profile: &str, suffix: &str, out: &Path, reproduced: bool) -> Result<PathBuf> {
    packages::for_dist()?;
    let binary = build(profile)?;
    let meta = Meta::find(suffix)?;
    let packages = all(&binary, &meta, out, Packing::Small)?;
    for package in &packages {
        println!("{}", package.display());
    }
    if reproduced {
        reproduced::compare(&packages, profile, suffix)?;
    }
    Ok(binary)
}

/// Packs a command that is built, and the library beside it, into `out`; the packages,
/// the command's first.
pub(crate) fn all(
    binary: &Path,
    meta: &Meta,
    out: &Path,
    packing: Packing,
) -> Result<Vec<PathBuf>> {
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    // Where cargo puts them before it links them up, which it does for some verbs only.
    let built = binary.parent().map(|dir| dir.join("deps")).unwrap_or_default();
    let mut trees = vec![ubc::package(binary, meta)?];
    trees.extend(library::packages(&built, meta)?);
    trees.push(dkms::package(meta)?);
    trees.into_iter().map(|tree| tree.pack(meta, out, packing)).collect()
}

/// Builds the command and the library; where the command is.
fn build(profile: &str) -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--locked", "--package", "ubc", "--bin", "ubc"]);
    command.args(["--package", "ubc-capi", "--lib", "--profile", profile]);
    nameless::leave_out(&mut command)?;
    // Warnings and progress go where cargo puts them.
    command.arg("--message-format=json-render-diagnostics").stderr(std::process::Stdio::inherit());
    let output = command.output().map_err(|error| format!("{}: {error}", shown(&command)))?;
    if !output.status.success() {
        return Err(format!("{}: {}", shown(&command), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut executables = messages.filter_map(|it| it["executable"].as_str().map(PathBuf::from));
    executables.next().ok_or_else(|| format!("{}: no executable", shown(&command)))
}

/// What a command prints.
fn printed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}: {}", shown(command), said.trim_end()))
}

/// The same as one line of text.
fn line(command: &mut Command) -> Result<String> {
    printed(command).map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// A file of the workspace.
fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}
