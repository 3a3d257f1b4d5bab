//! What is built from crates of others: held against deny.toml and docs/dependencies.md.
//!
//! cargo-deny takes minutes to build, so the suite asks cargo itself for what needs no
//! database; `cargo xtask deny` runs the real one. Both read the one deny.toml.

mod lock;
mod policy;
mod reasons;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use self::lock::Lock;
use self::policy::Policy;
use self::reasons::Reasons;
use crate::run::{self, Result, cargo, root, shown};

/// The version that deny.toml was written for.
const CARGO_DENY: &str = "0.20.2";

/// Every licence, every source, every checksum, and a reason for each direct dependency.
pub(crate) fn check() -> Result<()> {
    let policy = Policy::parse(&read("deny.toml")?)?;
    let lock = Lock::parse(&read("Cargo.lock")?)?;
    let reasons = Reasons::parse(&read("docs/dependencies.md")?)?;
    let packages = packages(&policy)?;
    let ours: BTreeSet<&str> =
        packages.iter().filter(|it| it.is_ours()).map(Package::name).collect();
    let mut wrong = lock.wrong(&policy, &ours);
    let licences = packages.iter().map(|it| policy.judge(it.name(), it.0["license"].as_str()));
    wrong.extend(licences.filter_map(Result::err));
    wrong.extend(policy.idle(&packages.iter().map(Package::name).collect()));
    wrong.extend(reasons.wrong(&direct(&packages)));
    println!(
        "   {} crates of others in Cargo.lock, {} here",
        lock.others(),
        packages.len() - ours.len()
    );
    if wrong.is_empty() { Ok(()) } else { Err(format!("dependencies:\n{}", wrong.join("\n"))) }
}

/// Has cargo-deny check the same and, unless there is no way to its database, look for
/// advisories.
pub(crate) fn deny(without_advisories: bool) -> Result<()> {
    let version = cargo().args(["deny", "--version"]).output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Err(format!(
            "cargo-deny is not installed: cargo install cargo-deny --version {CARGO_DENY} --locked"
        ));
    }
    let all = |checks: &[&str]| {
        let mut command = cargo();
        run::check(command.args(["deny", "--locked", "check"]).args(checks))
    };
    all(&["licenses", "bans", "sources"])?;
    if without_advisories {
        return Ok(());
    }
    all(&["advisories"]).map_err(|error| {
        format!("{error} (where its database cannot be fetched: --without-advisories)")
    })
}

/// As `cargo metadata` tells it.
struct Package(Value);

impl Package {
    fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// Whether it is one of this workspace.
    fn is_ours(&self) -> bool {
        self.0["source"].is_null()
    }
}

/// All there are on the machines that packages are made for.
fn packages(policy: &Policy) -> Result<Vec<Package>> {
    let mut command = cargo();
    command.args(["metadata", "--locked", "--all-features", "--format-version", "1"]);
    for target in &policy.targets {
        command.args(["--filter-platform", target]);
    }
    let output = printed(&mut command)?;
    let mut said: Value =
        serde_json::from_slice(&output).map_err(|error| format!("cargo metadata: {error}"))?;
    match said["packages"].take() {
        Value::Array(packages) => Ok(packages.into_iter().map(Package).collect()),
        other => Err(format!("cargo metadata: packages: {other}")),
    }
}

/// What our own packages ask for by name, and in which versions.
fn direct(packages: &[Package]) -> BTreeSet<(&str, &str)> {
    let ours = packages.iter().filter(|it| it.is_ours());
    let asked = ours.flat_map(|it| it.0["dependencies"].as_array().into_iter().flatten());
    let others = asked.filter(|it| !it["source"].is_null());
    others
        .map(|it| (it["name"].as_str().unwrap_or_default(), it["req"].as_str().unwrap_or_default()))
        .collect()
}

fn printed(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{}: {}", shown(command), String::from_utf8_lossy(&output.stderr).trim_end()))
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).map_err(|error| format!("{path}: {error}"))
}
