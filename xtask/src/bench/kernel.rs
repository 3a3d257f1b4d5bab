//! The group kernel, in a machine whose clock counts instructions.

use std::path::Path;
use std::time::Duration;

use crate::machines::stripped;
use crate::run::{Result, check, root};
use crate::vm::{Guest, Machine};

/// Everything is emulated, one processor by one.
const LIMIT: Duration = Duration::from_mins(40);

/// Where it runs, and where its results are then.
const PROGRAM: &str = "/t/ubc-measure";
const OUT: &str = "/t/out";

/// Measures there, and adds what came out to what was measured here.
pub(super) fn counted(quick: bool) -> Result<()> {
    check(super::measure("build").arg("--release"))?;
    let program = stripped(&root().join("target/release/ubc-measure"))?;
    println!("== booting a machine that counts instructions");
    let machine = Machine::counting(Guest::Trixie)?;
    machine.push(&program, PROGRAM)?;
    // What runs beside it would be counted.
    machine.run(&["systemctl", "is-system-running", "--wait"], LIMIT)?;
    machine.run(&["systemctl", "stop", "*.timer", "cron.service"], LIMIT)?;
    println!("== measuring in it, which takes minutes");
    let mut words = vec![PROGRAM, "kernel", "--instructions", "--out", OUT];
    if quick {
        words.push("--quick");
    }
    let outcome = machine.run(&words, LIMIT)?;
    if outcome.status != 0 {
        return Err(format!("{}{}", outcome.stdout, outcome.stderr));
    }
    let json = machine.run(&["cat", &format!("{OUT}/kernel.json")], LIMIT)?.stdout;
    let dir = Path::new(if quick { "target/ubc-bench/quick" } else { "target/ubc-bench" });
    let dir = root().join(dir);
    let file = dir.join("kernel.json");
    let written = std::fs::create_dir_all(&dir).and_then(|()| std::fs::write(&file, json));
    written.map_err(|error| format!("{}: {error}", file.display()))?;
    let table = outcome.stdout.lines().take_while(|line| !line.starts_with("plots: "));
    table.for_each(|line| println!("{line}"));
    println!("figures: {}", file.display());
    Ok(())
}
