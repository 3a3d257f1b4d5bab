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
pub(crate) fn blind(seconds: u64, target: Option<&str>) -> Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "-p", "ubc-fuzz", "--bin", "smoke", "--"]);
    // Linking everything anew takes longer than it wins.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    command.arg("--seconds").arg(seconds.to_string());
    if let Some(target) = target {
        command.arg("--target").arg(target);
    }
    check(&mut command)
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
