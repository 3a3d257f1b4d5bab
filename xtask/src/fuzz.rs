//! Fuzzing: with coverage where cargo-fuzz is installed, else seeded and blind.

use std::process::Stdio;

use crate::run::{Result, cargo, check};

/// Fuzzes, and says in which mode. With libFuzzer each target gets so many
/// seconds; in the seeded mode they share them.
pub(crate) fn fuzz(seconds: u64, target: Option<&str>) -> Result<()> {
    if has_cargo_fuzz() {
        println!("mode: libFuzzer, coverage-guided");
        let targets = targets()?;
        for name in targets.iter().filter(|name| target.is_none_or(|wanted| wanted == *name)) {
            let mut command = cargo();
            command.args(["fuzz", "run", "--features", "libfuzzer"]);
            command.args(["--sanitizer", "none", name, "--"]);
            command.arg(format!("-max_total_time={seconds}")).arg("-print_final_stats=1");
            check(&mut command)?;
        }
        return Ok(());
    }
    println!("mode: seeded mutation of the corpus (cargo-fuzz is not installed)");
    blind(seconds, target)
}

/// All targets, in so many seconds all together.
pub(crate) fn together(seconds: u64) -> Result<()> {
    if has_cargo_fuzz() {
        let each = seconds / targets()?.len().max(1) as u64;
        return fuzz(each.max(1), None);
    }
    fuzz(seconds, None)
}

/// The seeded mode, which needs nothing but cargo.
fn blind(seconds: u64, target: Option<&str>) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release"]).args(smoke(seconds));
    if let Some(target) = target {
        command.args(["--target", target]);
    }
    check(&mut command)
}

/// The same with what the tests have built already, all targets in so many seconds together: slower,
/// and with every check for overflows. To build it for speed takes minutes.
pub(crate) fn brief(seconds: u64) -> Result<()> {
    check(cargo().args(["run", "--quiet"]).args(smoke(seconds)))
}

fn smoke(seconds: u64) -> [String; 7] {
    let seconds = seconds.to_string();
    ["-p", "ubc-fuzz", "--bin", "smoke", "--", "--seconds", &seconds].map(str::to_owned)
}

fn has_cargo_fuzz() -> bool {
    let mut command = cargo();
    command.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn targets() -> Result<Vec<String>> {
    let output = cargo()
        .args(["fuzz", "list"])
        .output()
        .map_err(|error| format!("cargo fuzz list: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(str::to_owned).collect())
}
