//! `cargo xtask dist --reproduced`: the same source makes the same packages elsewhere, byte
//! for byte.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::nameless::home;
use super::{Meta, printed};
use crate::run::{Result, check, root};

/// Has a copy of the source make its packages, in directories of other names, in another
/// time zone and language, and compares them with these.
pub(crate) fn compare(packages: &[PathBuf], profile: &str, suffix: &str) -> Result<()> {
    let elsewhere =
        tempfile::Builder::new().prefix("somebody-elses-directory-").tempdir().map_err(failed)?;
    let at = |name: &str| elsewhere.path().join(name);
    copy(&at("source"))?;
    // The same crates, by other paths.
    fs::create_dir(at("cargo")).map_err(failed)?;
    for entry in fs::read_dir(home()?).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        symlink(entry.path(), at("cargo").join(entry.file_name())).map_err(failed)?;
    }
    let meta = Meta::find(suffix)?;
    let (name, mail) = meta.maintainer.split_once(" <").ok_or("the maintainer has no address")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--locked", "--package", "xtask", "--", "dist"]);
    command.args(["--profile", profile, "--suffix", suffix, "--out"]).arg(at("packages"));
    command.current_dir(at("source")).env("CARGO_HOME", at("cargo"));
    command.env("CARGO_TARGET_DIR", at("built")).env("SOURCE_DATE_EPOCH", &meta.epoch);
    command.env("DEBFULLNAME", name).env("DEBEMAIL", mail.trim_end_matches('>'));
    // What cargo told us about ourselves is not for the cargo we start.
    command.env_remove("CARGO_MANIFEST_DIR");
    check(command.env("TZ", "UTC-14").env("LC_ALL", "C"))?;
    let mut different = Vec::new();
    for package in packages {
        let other = at("packages").join(package.file_name().unwrap_or_default());
        if bytes(package)? == bytes(&other)? {
            println!("the same elsewhere: {}", package.display());
        } else {
            different.extend(differences(package, &other, elsewhere.path())?);
        }
    }
    if different.is_empty() {
        return Ok(());
    }
    Err(format!("built elsewhere, it comes out different:\n{}", different.join("\n")))
}

/// The source as it is here, committed or not.
fn copy(to: &Path) -> Result<()> {
    let mut list = Command::new("git");
    let safe = format!("safe.directory={}", root().display());
    list.args(["-c", &safe, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = printed(list.current_dir(root()))?;
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let name = Path::new(std::ffi::OsStr::from_bytes(name));
        let (from, to) = (root().join(name), to.join(name));
        // Removed, and not committed yet.
        if !from.exists() {
            continue;
        }
        fs::create_dir_all(to.parent().unwrap_or(&to)).map_err(failed)?;
        fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
    }
    Ok(())
}

/// Which files of two packages differ, and from where on.
fn differences(one: &Path, other: &Path, dir: &Path) -> Result<Vec<String>> {
    let package = one.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut trees = Vec::new();
    for (side, deb) in [("one", one), ("other", other)] {
        let tree = dir.join(side).join(&package);
        fs::create_dir_all(&tree).map_err(failed)?;
        printed(Command::new("dpkg-deb").arg("--raw-extract").arg(deb).arg(&tree))?;
        trees.push(tree);
    }
    let mut compare = Command::new("diff");
    compare
        .args(["--recursive", "--brief", "--no-dereference"])
        .args(["one", "other"].map(|side| Path::new(side).join(&package)));
    // It ends with 1 if there is any.
    let said = compare.current_dir(dir).output().map_err(failed)?.stdout;
    let mut all = vec![format!("{package}:")];
    for line in String::from_utf8_lossy(&said).lines() {
        let file = line.strip_prefix(&format!("Files one/{package}/"));
        let Some((file, _)) = file.and_then(|rest| rest.split_once(" and ")) else {
            all.push(format!("  {line}"));
            continue;
        };
        let (one, other) = (bytes(&trees[0].join(file))?, bytes(&trees[1].join(file))?);
        let mut at = one.iter().zip(&other).enumerate().filter(|(_, (one, other))| one != other);
        let first = at.next().map_or(one.len().min(other.len()), |(at, _)| at);
        all.push(format!(
            "  {file}: {} and {} bytes, from {first} on, {} of them others",
            one.len(),
            other.len(),
            at.count() + 1,
        ));
    }
    Ok(all)
}

fn bytes(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: std::io::Error) -> String {
    format!("a copy of the source elsewhere: {error}")
}
