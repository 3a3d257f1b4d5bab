//! The packages `libubc0` and `libubc-dev`: the C library for programs, and what whoever
//! builds them needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::linked::{libraries, linked};
use super::tree::Tree;
use super::{Meta, line, printed, read};
use crate::run::{Result, root};

/// What programs ask for. The first package is named after it, by Debian's policy, so
/// that two of them can be installed side by side.
const ABI: &str = "libubc.so.0";

/// The packages of the libraries that cargo left in `built`.
pub(super) fn packages(built: &Path, meta: &Meta) -> Result<[Tree; 2]> {
    let library = built.join("libubc_capi.so");
    check_abi(&library)?;
    let mut query = Command::new("dpkg-architecture");
    let libdir = format!("usr/lib/{}", line(query.arg("-qDEB_HOST_MULTIARCH"))?);
    let words = vec![("LIBRARIES", libraries(&library)?)];
    let runtime = Tree::new("libubc0", words)?;
    let development = Tree::new("libubc-dev", Vec::new())?;
    // As anybody installs it, and then each file where it belongs.
    let installed = tempfile::tempdir().map_err(|e| format!("a temporary directory: {e}"))?;
    let mut install = Command::new(root().join("ubc-capi/install.sh"));
    install.arg(built).env("DESTDIR", installed.path()).env("PREFIX", "/usr");
    printed(install.env("LIBDIR", format!("/{libdir}")))?;
    for file in files(installed.path())? {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let inside = file.strip_prefix(installed.path()).unwrap_or(&file);
        let to = inside.to_string_lossy();
        let tree = if name.starts_with(ABI) { &runtime } else { &development };
        let failed = |error: std::io::Error| format!("{}: {error}", file.display());
        if let Ok(target) = fs::read_link(&file) {
            tree.link(&target.to_string_lossy(), &to)?;
        } else if name.starts_with(ABI) {
            strip(&["--strip-unneeded"], &file, &tree.path(&to)?)?;
        } else if file.extension().is_some_and(|extension| extension == "a") {
            // What only a Rust compiler of the same version could link is most of it.
            let bitcode = ["--remove-section=.llvmbc", "--remove-section=.llvmcmd"];
            let options = ["--strip-debug", "--enable-deterministic-archives"];
            let options = [options, bitcode].concat();
            strip(&options, &file, &tree.path(&to)?)?;
        } else {
            tree.write(&to, &fs::read(&file).map_err(failed)?)?;
        }
    }
    for example in ["charge.py", "container.c"] {
        let to = format!("usr/share/doc/libubc-dev/examples/{example}");
        development.copy(&format!("ubc-capi/examples/{example}"), &to)?;
    }
    for (tree, package) in [(&runtime, "libubc0"), (&development, "libubc-dev")] {
        let doc = format!("usr/share/doc/{package}");
        tree.compress(&format!("{doc}/changelog"), read("CHANGELOG.md")?.as_bytes())?;
        tree.compress(&format!("{doc}/libraries"), linked("ubc-capi", meta)?.as_bytes())?;
    }
    Ok([runtime, development])
}

/// An error if the library is not what the package is named after.
fn check_abi(library: &Path) -> Result<()> {
    let said = line(Command::new("readelf").arg("-d").arg(library))?;
    let name = said.lines().find(|line| line.contains("(SONAME)")).unwrap_or_default();
    if name.contains(&format!("[{ABI}]")) {
        return Ok(());
    }
    Err(format!("{}: not {ABI} ({}): its package is another one", library.display(), name.trim()))
}

fn strip(options: &[&str], from: &Path, to: &Path) -> Result<()> {
    let mut strip = Command::new("strip");
    strip.args(["--remove-section=.comment", "--remove-section=.note"]).args(options);
    printed(strip.arg("-o").arg(to).arg(from)).map(drop)
}

/// All files and links below a directory.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            all.extend(files(&entry.path())?);
        } else {
            all.push(entry.path());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_with_another_name_is_not_packed_as_this_one() {
        if !crate::packages::is_installed("readelf") {
            println!("SKIP: no readelf");
            return;
        }
        let error = check_abi(&std::env::current_exe().unwrap()).unwrap_err();
        assert!(error.contains("not libubc.so.0"), "{error}");
    }

    #[test]
    fn the_package_is_named_after_what_programs_ask_for() {
        let build = read("ubc-capi/build.rs").unwrap();
        assert!(build.contains(&format!("-soname,{ABI}\"")), "{build}");
        let control = read("dist/debian/libubc0/control").unwrap();
        assert!(control.starts_with(&format!("Package: {}\n", ABI.replace(".so.", ""))));
        let shlibs = read("dist/debian/libubc0/shlibs").unwrap();
        assert!(shlibs.starts_with("libubc 0 libubc0 "), "{shlibs}");
    }
}
