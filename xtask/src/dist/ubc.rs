//! The package `ubc`: the command, its service, and what other programs want to
//! know of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::linked::{libraries, linked};
use super::tree::Tree;
use super::{Meta, printed, read};
use crate::run::{Result, root};

/// Files of the workspace, and where they go.
const FILES: [(&str, &str); 12] = [
    ("dist/ubc.service", "usr/lib/systemd/system/ubc.service"),
    ("dist/ubc-export.service", "usr/lib/systemd/system/ubc-export.service"),
    ("dist/ubc-record.service", "usr/lib/systemd/system/ubc-record.service"),
    ("dist/ubc.catalog", "usr/lib/systemd/catalog/ubc.catalog"),
    ("dist/runtime.conf", "etc/ubc/runtime.conf"),
    // Engines find nothing of this by themselves: a link enables it.
    ("docs/podman-hook.json", "usr/share/ubc/podman/ubc.json"),
    ("dist/lxc/ubc.conf", "usr/share/ubc/lxc/ubc.conf"),
    ("dist/systemd-nspawn/ubc.conf", "usr/share/ubc/systemd-nspawn/ubc.conf"),
    ("dist/prometheus/ubc.rules.yml", "usr/share/ubc/prometheus/ubc.rules.yml"),
    ("dist/grafana/ubc.json", "usr/share/ubc/grafana/ubc.json"),
    ("README.md", "usr/share/doc/ubc/README.md"),
    ("module/README.md", "usr/share/doc/ubc/module/README.md"),
];

/// Names under which the command is a runtime (docs/runtimes.md).
const RUNTIMES: [&str; 3] = ["ubc-crun", "ubc-runc", "ubc-runtime"];

const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/ubc"),
    ("fish", "usr/share/fish/vendor_completions.d/ubc.fish"),
    ("zsh", "usr/share/zsh/vendor-completions/_ubc"),
];

const BINARY: &str = "usr/bin/ubc";

/// The whole tree, with that binary.
pub(super) fn package(binary: &Path, meta: &Meta) -> Result<Tree> {
    let tree = Tree::new("ubc", vec![("LIBRARIES", libraries(binary)?)])?;
    let mut strip = Command::new("strip");
    strip.args(["--remove-section=.comment", "--remove-section=.note", "-o"]);
    printed(strip.arg(tree.path(BINARY)?).arg(binary))?;
    for (from, to) in FILES {
        tree.copy(from, to)?;
    }
    for name in RUNTIMES {
        tree.link("ubc", &format!("usr/bin/{name}"))?;
    }
    for (shell, to) in COMPLETIONS {
        tree.write(to, &printed(Command::new(binary).args(["completions", shell]))?)?;
    }
    pages(&tree, binary)?;
    book(&tree)?;
    tree.compress("usr/share/doc/ubc/changelog", read("CHANGELOG.md")?.as_bytes())?;
    tree.compress("usr/share/doc/ubc/libraries", linked("ubc", meta)?.as_bytes())?;
    Ok(tree)
}

/// The manual: a page for each command.
fn pages(tree: &Tree, binary: &Path) -> Result<()> {
    let dir = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    printed(Command::new(binary).arg("man").arg(dir.path()))?;
    for (name, page) in files(dir.path())? {
        tree.compress(&format!("usr/share/man/man1/{name}"), &page)?;
    }
    for name in RUNTIMES.iter().filter(|name| **name != "ubc-runtime") {
        tree.link("ubc-runtime.1.gz", &format!("usr/share/man/man1/{name}.1.gz"))?;
    }
    Ok(())
}

/// docs/, whose links to each other go on to work.
fn book(tree: &Tree) -> Result<()> {
    for (name, text) in files(&root().join("docs"))? {
        tree.write(&format!("usr/share/doc/ubc/docs/{name}"), &text)?;
    }
    Ok(())
}

/// The files of a directory, by name.
fn files(dir: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_file() {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.push((name, fs::read(entry.path()).map_err(failed)?));
        }
    }
    files.sort();
    Ok(files)
}
