//! What the README says is what the program says.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_table_of_parameters_in_the_readme_is_the_programs() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let table = readme.split("<!-- parameters: begin -->\n").nth(1).unwrap();
    let table = table.split("<!-- parameters: end -->").next().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ubc"))
        .args(["parameters", "--format", "markdown"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table, printed, "run: ubc parameters --format markdown");
}
