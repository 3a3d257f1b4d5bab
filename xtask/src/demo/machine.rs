//! The demo on a kernel that refuses: in an emulated machine, for those whose
//! own kernel does not.

use std::path::Path;
use std::time::Duration;

use crate::machines::stripped;
use crate::run::Result;
use crate::vm::{Guest, Machine};

const SCRIPT: &str = include_str!("machine.sh");

/// Emulated, everything takes many times as long; the first start puts the
/// programs into the kernel.
const LIMIT: Duration = Duration::from_mins(10);

/// Rows that must have been refused for the demo to have shown its point.
const LEAST: usize = 11;

/// Shows refusals; `programs` is where ubc and its examples are.
pub(super) fn show(programs: &Path) -> Result<()> {
    let machine = Machine::resume(Guest::Trixie)?;
    let scratch = tempfile::tempdir().map_err(|error| format!("a scratch directory: {error}"))?;
    let script = scratch.path().join("demo.sh");
    std::fs::write(&script, SCRIPT).map_err(|error| format!("{}: {error}", script.display()))?;
    machine.push(&script, "/root/demo/demo.sh")?;
    machine.push(&stripped(&programs.join("ubc"))?, "/root/demo/ubc")?;
    machine.push(&stripped(&programs.join("examples/refused"))?, "/root/demo/refused")?;
    println!("(machine, {}) $ sh demo.sh", Guest::Trixie);
    let outcome = machine.run(&["sh", "/root/demo/demo.sh"], LIMIT)?;
    print!("{}{}", outcome.stderr, outcome.stdout);
    let refused = outcome.stdout.lines().filter(|line| line.contains(" more, then: ")).count();
    if outcome.status != 0 || refused < LEAST {
        return Err(format!(
            "{refused} rows refused, {LEAST} expected; the demo ended with {}",
            outcome.status
        ));
    }
    println!("{refused} rows refused, each counted where the container can read it");
    Ok(())
}
