//! What is built names no directory of the machine it was built on.
//!
//! Panics name their sources, and so do the C sources of libbpf: those of this tree by
//! relative paths, all others by absolute ones, which would say who built them and differ
//! from machine to machine.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::printed;
use crate::run::{Result, cargo, root, shown};
use crate::vm::quoted;

/// What stands between two flags in `CARGO_ENCODED_RUSTFLAGS`.
const BETWEEN: &str = "\u{1f}";

/// Directories that must not be told, and what stands for each. Where one is in another
/// the later one counts.
pub(super) fn directories() -> Result<Vec<(PathBuf, &'static str)>> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let said: Value = serde_json::from_slice(&printed(&mut metadata)?)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let target = said["target_directory"].as_str().ok_or("cargo metadata: no target_directory")?;
    let home = home()?;
    let mut all = vec![(root(), "/ubc"), (target.into(), "/ubc-target"), (home.clone(), "/cargo")];
    // A crate is compiled where it lies, which has no links in its name.
    for (part, name) in [("registry", "/cargo/registry"), ("git", "/cargo/git")] {
        all.extend(home.join(part).canonicalize().map(|real| (real, name)));
    }
    Ok(all)
}

/// Where cargo keeps the sources of crates.
pub(super) fn home() -> Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set("CARGO_HOME").or_else(|| Some(set("HOME")?.join(".cargo")));
    home.ok_or_else(|| "neither CARGO_HOME nor HOME is set".to_owned())
}

/// Has cargo and the compilers it starts leave them out, beside whatever flags they are
/// given already.
pub(super) fn leave_out(command: &mut Command) -> Result<()> {
    let directories = directories()?;
    let set = |name| std::env::var(name).unwrap_or_default();
    let mut rust: Vec<String> = match std::env::var("CARGO_ENCODED_RUSTFLAGS") {
        Ok(flags) => flags.split(BETWEEN).map(str::to_owned).collect(),
        Err(_) => set("RUSTFLAGS").split_whitespace().map(str::to_owned).collect(),
    };
    rust.push(MARK.to_owned());
    rust.retain(|flag| !flag.is_empty());
    let mut c = OsString::from(set("CFLAGS"));
    for (directory, name) in &directories {
        c.push(format!(" -ffile-prefix-map={}={name}", directory.display()));
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", rust.join(BETWEEN)).env("CFLAGS", c);
    command.env("RUSTC_WRAPPER", wrapper(&directories, &set("RUSTC_WRAPPER"))?);
    Ok(())
}

/// Changes nothing but that cargo takes it for another build than one without.
const MARK: &str = "--remap-path-prefix=/ubc=/ubc";

/// A script that cargo starts rustc with; where it is. Cargo must not know the names: it
/// names directories of the build after the flags it knows, which end up in debug
/// information.
fn wrapper(directories: &[(PathBuf, &str)], around: &str) -> Result<PathBuf> {
    let [_, (target, _), ..] = directories else { return Err("no directories".to_owned()) };
    let around = if around.is_empty() { String::new() } else { quoted(around) + " " };
    let flags = directories
        .iter()
        .map(|(directory, name)| format!("--remap-path-prefix={}={name}", directory.display()))
        .map(|flag| quoted(&flag))
        .collect::<Vec<_>>()
        .join(" ");
    let script = format!("#!/bin/sh\nexec {around}\"$@\" {flags}\n");
    let path = target.join("nameless-rustc");
    let failed = |error| format!("{}: {error}", path.display());
    fs::create_dir_all(target).map_err(failed)?;
    // In one step: a compiler may be about to be started with the one that is there.
    let mut file = tempfile::NamedTempFile::new_in(target).map_err(failed)?;
    file.write_all(script.as_bytes()).map_err(failed)?;
    file.as_file().set_permissions(Permissions::from_mode(0o755)).map_err(failed)?;
    // Closed first: what is open for writing is not executed.
    file.into_temp_path().persist(&path).map_err(|error| failed(error.error))?;
    Ok(path)
}

/// An error if a file below `tree` has the name of that directory in it.
pub(super) fn check(tree: &Path, directory: &Path) -> Result<()> {
    // `/ubc`: others have such names, too.
    if directory.components().count() < 3 {
        return Ok(());
    }
    // Hundreds of megabytes, in which an unoptimised search of ours takes long.
    let mut grep = Command::new("grep");
    grep.args(["--recursive", "--text", "--fixed-strings", "--files-with-matches", "-e"]);
    grep.arg(directory.join("")).arg(tree).env("LC_ALL", "C");
    let output = grep.output().map_err(|error| format!("{}: {error}", shown(&grep)))?;
    match output.status.code() {
        Some(1) => Ok(()),
        Some(0) => {
            let files = String::from_utf8_lossy(&output.stdout).into_owned();
            Err(format!("these name {}:\n{}", directory.display(), files.trim_end()))
        }
        _ => Err(format!("{}: {}", shown(&grep), String::from_utf8_lossy(&output.stderr))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_tells_where_it_was_built_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, [b"\x7fELF\0/home/a", &b"nna/ubc/x.rs\0"[..]].concat()).unwrap();
        let error = check(dir.path(), Path::new("/home/anna/ubc")).unwrap_err();
        assert_eq!(error, format!("these name /home/anna/ubc:\n{}", file.display()));
        for other in ["/home/bob", "/home/ann", "/home", "/"] {
            assert_eq!(check(dir.path(), Path::new(other)), Ok(()), "{other}");
        }
        assert!(check(&dir.path().join("none"), Path::new("/home/bob")).is_err());
    }
}
