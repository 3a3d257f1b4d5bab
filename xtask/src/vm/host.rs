//! What this machine needs to build and run the others: installed when
//! missing, and said so.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::packages;
use crate::run::Result;

use super::{apt, process, say};

/// What emulates the machines.
pub(super) const QEMU: &str = "qemu-system-x86_64";
/// The first that can save RAM to a plain file (`migrate file:`).
const OLDEST: (u32, u32) = (8, 2);
/// The release of Debian whose own QEMU is older.
const TOO_OLD: &str = "bookworm";

/// Programs to run a machine with, and the package of each.
const RUN: [(&str, &str); 4] =
    [("ssh", "openssh-client"), ("tar", "tar"), ("zstd", "zstd"), ("setpriv", "util-linux")];
/// Programs to build an image with.
const BUILD: [(&str, &str); 8] = [
    ("mmdebstrap", "mmdebstrap"),
    ("mke2fs", "e2fsprogs"),
    ("qemu-img", "qemu-utils"),
    ("ssh-keygen", "openssh-client"),
    ("lz4", "lz4"),
    ("xz", "xz-utils"),
    ("gzip", "gzip"),
    ("chroot", "coreutils"),
];

/// Makes sure that a machine can run; returns QEMU's version.
pub(super) fn for_run() -> Result<String> {
    install(missing(&RUN), None)?;
    if !version().is_some_and(|text| is_new_enough(&text)) {
        packages::root_or_say_so()?;
        let own = apt::os_release("VERSION_CODENAME").unwrap_or_default();
        let backports = (own == TOO_OLD).then(|| format!("{own}-backports"));
        install(vec!["qemu-system-x86"], backports.as_deref())?;
    }
    match version() {
        Some(text) if is_new_enough(&text) => Ok(text),
        Some(text) => Err(format!("needs QEMU {}.{} or newer, this is {text}", OLDEST.0, OLDEST.1)),
        None => Err(format!("needs {QEMU}")),
    }
}

/// Makes sure that an image can be built.
pub(super) fn for_build() -> Result<()> {
    packages::root_or_say_so()?;
    install(missing(&BUILD), None)
}

fn missing(needs: &[(&str, &'static str)]) -> Vec<&'static str> {
    let absent = needs.iter().filter(|(program, _)| !packages::is_installed(program));
    let mut packages: Vec<_> = absent.map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

/// The first line of `--version`.
fn version() -> Option<String> {
    let out = Command::new(QEMU).arg("--version").output().ok()?;
    String::from_utf8_lossy(&out.stdout).lines().next().map(str::to_owned)
}

fn is_new_enough(version: &str) -> bool {
    let number =
        version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = number.unwrap_or("0").split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= OLDEST
}

/// Installs packages, from another suite of this machine's mirror if told so.
/// That suite is made known for the occasion only: /etc stays as it is.
fn install(packages: Vec<&str>, suite: Option<&str>) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !packages::is_installed("apt-get") {
        return Err(format!("needs these Debian packages or the like: {list}"));
    }
    let temp = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    let mut options = vec!["-o".to_owned(), "DPkg::Lock::Timeout=300".to_owned()];
    if let Some(suite) = suite {
        add_suite(temp.path(), suite)?;
        options.push("-o".to_owned());
        options.push(format!("Dir::Etc::SourceParts={}", temp.path().display()));
        options.extend(["-t".to_owned(), suite.to_owned()]);
    }
    let log = std::env::temp_dir().join(format!("ubc-vm-apt-{}.log", std::process::id()));
    let apt = |what: &str, args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(&options).args(args).env("DEBIAN_FRONTEND", "noninteractive");
        process::long(what, &mut command, &log, Duration::from_mins(20))
    };
    let from = suite.map_or(String::new(), |suite| format!(" from {suite}"));
    apt("updating the package lists", &["update"])?;
    let mut args = vec!["install", "--yes", "--no-install-recommends"];
    args.extend(packages);
    apt(&format!("installing on this machine{from}: {list}"), &args)?;
    say(&format!("installed {list}"));
    // Only of interest after a failure.
    let _ = fs::remove_file(&log);
    Ok(())
}

/// A directory of apt sources: this machine's own, and one more suite.
fn add_suite(dir: &Path, suite: &str) -> Result<()> {
    let source = apt::source()?;
    let signed = source.signed_by.map_or(String::new(), |path| format!("Signed-By: {path}\n"));
    let text =
        format!("Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\n{signed}", source.uri);
    let failed = |error| format!("{}: {error}", dir.display());
    fs::write(dir.join("ubc-extra.sources"), text).map_err(failed)?;
    for own in apt::files().iter().filter(|path| path.parent() != Some(Path::new("/etc/apt"))) {
        if let Some(name) = own.file_name() {
            symlink(own, dir.join(name)).map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_emulator_is_replaced_and_a_new_one_kept() {
        let line = |version| format!("QEMU emulator version {version} (Debian 1:x)");
        assert!(!is_new_enough(&line("7.2.17")));
        assert!(!is_new_enough(&line("8.1.0")));
        assert!(is_new_enough(&line("8.2.0")));
        assert!(is_new_enough(&line("10.0.2")));
        assert!(!is_new_enough("nonsense"));
    }

    #[test]
    fn only_what_is_missing_is_installed() {
        assert_eq!(missing(&[("sh", "dash"), ("no-such-program", "one")]), ["one"]);
    }
}
