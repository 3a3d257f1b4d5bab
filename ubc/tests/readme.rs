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

/// Every page in docs/, at any depth.
fn pages(dir: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let found = paths.flat_map(|path| {
        if path.is_dir() {
            return pages(&path);
        }
        let is_page = path.extension().is_some_and(|extension| extension == "md");
        is_page.then_some(path).into_iter().collect()
    });
    found.collect()
}

#[test]
fn no_page_of_the_book_leads_nowhere_or_is_left_out() {
    let docs = root().join("docs");
    let mut all = pages(&docs);
    for page in &all {
        let name = page.file_name().unwrap().to_str().unwrap();
        if ["README.md", "SUMMARY.md"].contains(&name) {
            continue;
        }
        // What is in DIR is listed in DIR.md.
        let here = page.parent().unwrap();
        let (index, name) = if here == docs {
            (docs.join("README.md"), name.to_owned())
        } else {
            let dir = here.file_name().unwrap().to_str().unwrap();
            (here.with_extension("md"), format!("{dir}/{name}"))
        };
        let contents = std::fs::read_to_string(&index).unwrap();
        assert!(contents.contains(&format!("]({name})")), "{name} is not in {}", index.display());
    }
    all.push(root().join("README.md"));
    for page in all {
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
