//! What the pages of parameters say of the program is what the program says,
//! and the book has the contents that its index has.
//!
//! With `UBC_BLESS=1` in the environment the facts are written anew.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use ubc_core::Resource;

const BEGIN: &str = "<!-- facts: begin -->\n";
const END: &str = "<!-- facts: end -->";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

fn read(page: &str) -> String {
    std::fs::read_to_string(docs().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every page below docs/, by its path from there.
fn pages(below: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(docs().join(below)).unwrap().map(Result::unwrap);
    let found = entries.flat_map(|entry| {
        let path = below.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            return pages(&path);
        }
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        is_page.then(|| path.to_str().unwrap().to_owned()).into_iter().collect()
    });
    found.collect()
}

#[test]
fn the_facts_of_a_parameters_page_are_the_programs() {
    for resource in Resource::ALL {
        let page = format!("parameters/{resource}.md");
        let text = read(&page);
        let (before, rest) = text.split_once(BEGIN).unwrap_or_else(|| panic!("{page}: no facts"));
        let (kept, after) = rest.split_once(END).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ubc"))
            .args(["parameters", resource.name(), "--format", "markdown"])
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && !printed.is_empty(), "{resource}");
        if std::env::var_os("UBC_BLESS").is_some() {
            let path = docs().join(&page);
            std::fs::write(path, format!("{before}{BEGIN}{printed}{END}{after}")).unwrap();
        } else {
            assert_eq!(kept, printed, "{page}; run with UBC_BLESS=1");
        }
    }
}

#[test]
fn a_parameters_page_answers_what_people_ask() {
    const TITLES: [&str; 5] = [
        "## What it counts",
        "## What is refused",
        "## Metered and enforced",
        "## How to choose a value",
        "## When failcnt rises",
    ];
    for resource in Resource::ALL {
        let text = read(&format!("parameters/{resource}.md"));
        assert!(text.starts_with(&format!("# {resource}\n")), "{resource}");
        let titles: Vec<&str> = text.lines().filter(|line| line.starts_with("## ")).collect();
        assert_eq!(titles, TITLES, "{resource}");
        assert!(text.contains("\nSee also: "), "{resource}");
    }
}

/// What mdBook takes: a title, then parts, and in them lists of links, nested by
/// four blanks.
#[test]
fn the_summary_is_one_that_mdbook_takes_and_has_every_page_once() {
    let summary = read("SUMMARY.md");
    let mut lines = summary.lines().filter(|line| !line.is_empty());
    assert_eq!(lines.next(), Some("# Summary"));
    let mut listed = BTreeSet::new();
    let mut depth = 0;
    for line in lines {
        if line.starts_with("# ") {
            depth = 0;
            continue;
        }
        let item = line.trim_start_matches(' ');
        let blanks = line.len() - item.len();
        assert!(blanks % 4 == 0 && blanks / 4 <= depth, "{line}");
        let link = item.strip_prefix("- ").unwrap_or(item);
        assert!(link != item || listed.is_empty(), "only the first page has no number: {line}");
        depth = blanks / 4 + usize::from(link != item);
        let (title, page) = link
            .strip_prefix('[')
            .and_then(|link| link.strip_suffix(')'))
            .and_then(|link| link.split_once("]("))
            .unwrap_or_else(|| panic!("no link: {line}"));
        assert!(!title.is_empty(), "{line}");
        assert!(listed.insert(page.to_owned()), "twice: {line}");
    }
    let mut all = pages(Path::new(""));
    assert!(all.remove("SUMMARY.md"));
    assert_eq!(listed, all);
}

/// A page is read on the web host of the sources and in the book, where what is
/// outside of docs/ is not.
#[test]
fn what_a_page_shows_and_names_is_there() {
    let root = docs().join("..");
    for page in pages(Path::new("")) {
        let text = read(&page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let link = link.split('#').next().unwrap_or(link);
            if link.is_empty() || link.contains("://") {
                continue;
            }
            // Neither has that name in the book.
            let has_name = !["README.md", "SUMMARY.md"].iter().any(|name| link.ends_with(name));
            assert!(has_name || page == "SUMMARY.md", "{page}: {link}");
            let target = docs().join(&page).with_file_name("").join(link);
            assert!(target.is_file(), "{page}: {link}");
            let target = target.canonicalize().unwrap();
            assert!(target.starts_with(docs().canonicalize().unwrap()), "{page} leaves: {link}");
        }
        for alt in text.split("![").skip(1) {
            assert!(!alt.starts_with(']'), "{page}: a picture without words");
        }
        // Odd pieces are code; a source is named by its path from the root.
        for code in text.split('`').skip(1).step_by(2) {
            let is_source = [
                "ubc/src/",
                "ubc/tests/",
                "ubc-core/",
                "ubc-bpf/",
                "ubc-cgroup/",
                "ubc-node/",
                "dist/",
            ]
            .iter()
            .any(|start| code.starts_with(start));
            let is_path = !code.contains(|c: char| c.is_whitespace() || c == '*');
            if is_source && is_path {
                assert!(root.join(code).exists(), "{page}: {code}");
            }
        }
    }
}

#[test]
fn a_picture_is_small_and_used() {
    let all: String = pages(Path::new("")).iter().map(|page| read(page)).collect();
    for entry in std::fs::read_dir(docs().join("pictures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(path.metadata().unwrap().len() < 20 << 10, "{name}");
        assert!(all.contains(&format!("pictures/{name})")), "{name} is on no page");
    }
}
