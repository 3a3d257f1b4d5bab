//! A tree of files that becomes a package.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::{Meta, nameless, printed, read};
use crate::run::{Result, root, shown};

/// How a package is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// As Debian does it, for everybody.
    Small,
    /// At once, for a test: what is packed was built for this machine.
    Fast,
}

/// What dpkg-deb packs. Modes do not depend on the umask, and times are cut to
/// the source's: the same files make the same package.
pub(super) struct Tree {
    package: &'static str,
    dir: TempDir,
    /// What stands for what in dist/debian/PACKAGE.
    words: Vec<(&'static str, String)>,
}

impl Tree {
    pub(super) fn new(package: &'static str, words: Vec<(&'static str, String)>) -> Result<Tree> {
        let dir = TempDir::new().map_err(|error| format!("a temporary directory: {error}"))?;
        Ok(Tree { package, dir, words })
    }

    /// Where a path of the package is, its directory made.
    pub(super) fn path(&self, path: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(path);
        let parent = path.parent().unwrap_or(&path);
        fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        Ok(path)
    }

    /// Writes a file.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(path)?;
        fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Copies a file of the workspace.
    pub(super) fn copy(&self, from: &str, to: &str) -> Result<()> {
        self.write(to, read(from)?.as_bytes())
    }

    /// Writes a file compressed, as documentation is; `.gz` is added.
    pub(super) fn compress(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.write(&format!("{path}.gz"), &gzip(bytes)?)
    }

    /// Makes a link, relative within a directory.
    pub(super) fn link(&self, target: &str, path: &str) -> Result<()> {
        let path = self.path(path)?;
        symlink(target, &path).map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Packs it; where the package is.
    pub(super) fn pack(mut self, meta: &Meta, out: &Path, packing: Packing) -> Result<PathBuf> {
        let doc = format!("usr/share/doc/{}", self.package);
        self.copy(&self.ours("copyright"), &format!("{doc}/copyright"))?;
        let changelog = meta.changelog(self.package)?;
        self.compress(&format!("{doc}/changelog.Debian"), changelog.as_bytes())?;
        let files = self.set_modes()?;
        self.words.push(("VERSION", meta.version.clone()));
        self.words.push(("MAINTAINER", meta.maintainer.clone()));
        self.words.push(("SIZE", files.kibibytes.to_string()));
        nameless::check(self.dir.path(), &root())?;
        if packing == Packing::Small {
            nameless::check(self.dir.path(), &nameless::home()?)?;
        }
        let sums = printed(
            Command::new("md5sum").arg("--").args(&files.regular).current_dir(self.dir.path()),
        )?;
        self.write("DEBIAN/md5sums", &sums)?;
        let control = self.control(meta)?;
        let name = format!("{}_{}_{control}.deb", self.package, meta.version);
        let package = out.join(name);
        let mut pack = Command::new("dpkg-deb");
        match packing {
            Packing::Small => pack.arg("-Zxz"),
            Packing::Fast => pack.arg("-Znone"),
        };
        pack.args(["--root-owner-group", "--build"]).arg(self.dir.path()).arg(&package);
        printed(pack.env("SOURCE_DATE_EPOCH", &meta.epoch))?;
        Ok(package)
    }

    /// A file of dist/debian/PACKAGE.
    fn ours(&self, name: &str) -> String {
        format!("dist/debian/{}/{name}", self.package)
    }

    /// Writes what dpkg itself reads; the architecture.
    fn control(&self, meta: &Meta) -> Result<String> {
        let mut architecture = None;
        for name in ["control", "conffiles", "shlibs", "triggers", "postinst", "prerm", "postrm"] {
            let from = self.ours(name);
            if !root().join(&from).exists() {
                continue;
            }
            let mut text = read(&from)?;
            for (word, value) in &self.words {
                text = text.replace(&format!("@{word}@"), value);
            }
            text = text.replace("@ARCHITECTURE@", &meta.architecture);
            if let Some(word) = unfilled(&text) {
                return Err(format!("{from}: nothing stands for @{word}@"));
            }
            if name == "control" {
                let field = text.lines().find_map(|line| line.strip_prefix("Architecture: "));
                architecture = field.map(str::to_owned);
            }
            let to = format!("DEBIAN/{name}");
            self.write(&to, text.as_bytes())?;
            let is_script = matches!(name, "postinst" | "prerm" | "postrm");
            let mode = if is_script { 0o755 } else { 0o644 };
            set_mode(&self.path(&to)?, mode)?;
        }
        set_mode(&self.path("DEBIAN/md5sums")?, 0o644)?;
        set_mode(&self.dir.path().join("DEBIAN"), 0o755)?;
        architecture.ok_or_else(|| format!("{}: no architecture", self.ours("control")))
    }

    /// Gives everything its mode: programs are those in /usr/bin.
    fn set_modes(&self) -> Result<Files> {
        let mut files = Files::default();
        let mut left = vec![self.dir.path().to_owned()];
        while let Some(dir) = left.pop() {
            set_mode(&dir, 0o755)?;
            // A directory counts as one, by Debian's policy.
            files.kibibytes += 1;
            let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
            for entry in fs::read_dir(&dir).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                let meta = fs::symlink_metadata(&path).map_err(failed)?;
                if meta.is_dir() {
                    left.push(path);
                    continue;
                }
                files.kibibytes += if meta.is_file() { meta.len().div_ceil(1024) } else { 1 };
                if meta.is_file() {
                    let inside = path.strip_prefix(self.dir.path()).unwrap_or(&path).to_owned();
                    let mode = if inside.starts_with("usr/bin") { 0o755 } else { 0o644 };
                    set_mode(&path, mode)?;
                    files.regular.push(inside);
                }
            }
        }
        files.regular.sort();
        Ok(files)
    }
}

#[derive(Default)]
struct Files {
    /// What dpkg can check.
    regular: Vec<PathBuf>,
    /// What all take, as Installed-Size has it.
    kibibytes: u64,
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(path, mode).map_err(|error| format!("{}: {error}", path.display()))
}

/// Without name and time in it.
fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new("gzip");
    command.args(["-9", "-n"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let failed = |error: std::io::Error| format!("gzip: {error}");
    let mut child = command.spawn().map_err(failed)?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // It may print before it has read all.
        let writer = scope.spawn(move || stdin.map_or(Ok(()), |mut stdin| stdin.write_all(bytes)));
        let output = child.wait_with_output().map_err(failed)?;
        writer.join().map_err(|_| "gzip: its writer ended".to_owned())?.map_err(failed)?;
        if output.status.success() { Ok(output.stdout) } else { Err(shown(&command)) }
    })
}

/// The first word between @ that nothing was put in for.
fn unfilled(text: &str) -> Option<&str> {
    let is_word =
        |part: &&str| !part.is_empty() && part.chars().all(|c| c == '_' || c.is_ascii_uppercase());
    text.split('@').skip(1).find(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_nothing_stands_for_is_seen() {
        assert_eq!(unfilled("Version: @VERSION@\n"), Some("VERSION"));
        assert_eq!(unfilled("Maintainer: A <a@b.example>\n"), None);
    }

    #[test]
    fn the_same_text_is_compressed_to_the_same() {
        let text = vec![b'x'; 300_000];
        assert_eq!(gzip(&text), gzip(&text));
        assert!(gzip(&text).unwrap().len() < 10_000);
    }
}
