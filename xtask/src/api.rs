//! The public interface of the libraries, as text: no public item appears, changes or goes
//! without a line in the change that does it.
//!
//! rustdoc tells the interface, public-api renders it, and a file in each library's directory
//! keeps it. `UBC_BLESS=1` writes the files anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::{Result, cargo, check, root};
use crate::tests::Count;

/// The libraries that embedders build on. What a library hands out of another one counts.
const LIBRARIES: [&str; 5] = ["ubc-core", "ubc-cgroup", "ubc-procfs", "ubc-config", "ubc-node"];

/// The file in the library's directory.
const FILE: &str = "public-api.txt";

/// What rustdoc can write and public-api read: the format is not stable, and goes with the
/// compiler's version.
const FORMAT: u64 = 57;

/// Most lines of a difference that are shown.
const SHOWN: usize = 30;

/// Compares each library with its file, or writes the files.
pub(crate) fn check_all(total: &mut Count) -> Result<()> {
    let told = tell()?;
    if let Some(other) = told.iter().find_map(|path| format(path).filter(|it| *it != FORMAT)) {
        let why = format!("public interfaces: this rustdoc writes format {other}, not {FORMAT}");
        println!("   {why}");
        total.skipped.push(why);
        return Ok(());
    }
    let bless = std::env::var_os("UBC_BLESS").is_some();
    let mut wrong = Vec::new();
    for (library, told) in LIBRARIES.iter().zip(&told) {
        let (text, path) = (interface(told)?, root().join(library).join(FILE));
        if bless {
            fs::write(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
            continue;
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        let different = difference(&kept, &text);
        println!("   {library}: {} items", text.lines().count());
        if !different.is_empty() {
            wrong.push(format!("{library}/{FILE}:\n{}", different.join("\n")));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let wrong = wrong.join("\n");
    Err(format!(
        "the public interface is another one (docs/embedding.md, Versions); if it is to be, \
         UBC_BLESS=1 cargo xtask test --only api\n{wrong}"
    ))
}

/// Has rustdoc tell all of them; the files it wrote.
fn tell() -> Result<Vec<PathBuf>> {
    let dir = root().join("target/api");
    let io = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(&dir).map_err(io)?;
    // Of rustdoc alone: build scripts would look for what else is not stable.
    let rustdoc = dir.join("rustdoc");
    let script = "#!/bin/sh\nRUSTC_BOOTSTRAP=1 exec rustdoc \"$@\"\n";
    if fs::read_to_string(&rustdoc).ok().as_deref() != Some(script) {
        fs::write(&rustdoc, script).map_err(io)?;
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(&rustdoc, all).map_err(io)?;
    }
    let mut command = cargo();
    command.args(["doc", "--quiet", "--no-deps", "--lib"]);
    for library in LIBRARIES {
        command.args(["-p", library]);
    }
    command.env("RUSTDOC", &rustdoc);
    command.env("RUSTDOCFLAGS", "-Zunstable-options --output-format=json");
    check(&mut command)?;
    let path = |library: &str| format!("target/doc/{}.json", library.replace('-', "_"));
    Ok(LIBRARIES.iter().map(|library| root().join(path(library))).collect())
}

/// The format a file says it has.
fn format(path: &Path) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let (_, rest) = text.rsplit_once("\"format_version\":")?;
    rest.trim_end_matches('}').trim().parse().ok()
}

/// A line for each public item.
fn interface(told: &Path) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(told).omit_blanket_impls(true).build();
    let api = api.map_err(|error| format!("{}: {error}", told.display()))?;
    let lines = api.items().map(ToString::to_string).filter(|line| is_promised(line));
    Ok(lines.map(|line| line + "\n").collect())
}

/// Of what the compiler finds out by itself only threads matter to anybody.
fn is_promised(line: &str) -> bool {
    let automatic = [
        "core::marker::Freeze",
        "core::marker::Unpin",
        "core::marker::UnsafeUnpin",
        "core::panic::unwind_safe::RefUnwindSafe",
        "core::panic::unwind_safe::UnwindSafe",
    ];
    !line.starts_with("impl") || !automatic.iter().any(|name| line.contains(name))
}

/// What is in one text only, as diff has it.
fn difference(kept: &str, text: &str) -> Vec<String> {
    let only = |one: &str, other: &str, mark: &str| -> Vec<String> {
        let other: std::collections::HashSet<&str> = other.lines().collect();
        let lines = one.lines().filter(|line| !other.contains(line));
        lines.map(|line| format!("{mark} {line}")).collect()
    };
    let mut all = only(kept, text, "-");
    all.extend(only(text, kept, "+"));
    if all.len() > SHOWN {
        let more = all.len() - SHOWN;
        all.truncate(SHOWN);
        all.push(format!("and {more} lines more"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_changes_is_told_as_gone_and_new() {
        let (kept, text) = ("pub fn a()\npub fn b()\n", "pub fn a()\npub fn b(u32)\n");
        assert_eq!(difference(kept, text), ["- pub fn b()", "+ pub fn b(u32)"]);
        assert_eq!(difference(text, text), [""; 0]);
        let many: Vec<String> = (0..100).map(|n| format!("pub fn f{n}()")).collect();
        let many = many.join("\n");
        assert_eq!(difference("", &many).last().unwrap(), "and 70 lines more");
    }

    #[test]
    fn what_can_no_longer_be_sent_to_a_thread_is_no_detail() {
        assert!(is_promised("impl !core::marker::Send for ubc_node::Node"));
        assert!(is_promised("impl core::clone::Clone for ubc_core::Limits"));
        assert!(!is_promised("impl core::marker::Freeze for ubc_core::Limits"));
    }
}
