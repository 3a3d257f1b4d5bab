//! What the README says is what the program says.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where the links of a Markdown text lead, within this project.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://"))
}

#[test]
fn no_page_of_the_book_leads_nowhere_or_is_left_out() {
    let docs = root().join("docs");
    let contents = std::fs::read_to_string(docs.join("README.md")).unwrap();
    let mut pages = vec![root().join("README.md")];
    for entry in std::fs::read_dir(&docs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(name == "README.md" || contents.contains(&format!("]({name})")), "{name}");
            pages.push(path);
        }
    }
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { page.with_file_name(file) };
            assert!(target.exists(), "{}: {link}", page.display());
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&target).unwrap();
                let is = |title: &str| slug(title) == anchor;
                let titles = there.lines().filter_map(|line| line.strip_prefix('#'));
                assert!(titles.clone().any(is), "{}: {link}", page.display());
            }
        }
    }
}

/// What a title is called in a link.
fn slug(title: &str) -> String {
    let words = title.trim_start_matches('#').trim().to_lowercase();
    let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn the_table_of_parameters_in_the_readme_is_the_programs() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let table = readme.split("<!-- parameters: begin -->\n").nth(1).unwrap();
    let table = table.split("<!-- parameters: end -->").next().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ubc"))
        .args(["parameters", "--format", "markdown"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table, printed, "run: ubc parameters --format markdown");
}
