//! The Debian package, installed, upgraded, removed and purged.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::dist::{self, Meta, Packing};
use crate::facts::{Fact, Value};
use crate::run::Result;
use crate::tests::Count;
use crate::vm::{Guest, Machine};

/// What is done with it in the guest, and what has to be true then.
const SCRIPT: &str = include_str!("package.sh");

/// Longest that may take: most of it is the daemon's start, in which an emulated
/// kernel reads all programs.
const LIMIT: Duration = Duration::from_mins(12);

/// Packs the command twice, which must come out the same, and once in a higher
/// version; a machine lives through all of a package's life with it.
pub(super) fn run(guest: Guest, column: &str, binary: &Path, total: &mut Count) -> Result<()> {
    let started = Instant::now();
    let outcome = outcome(guest, binary);
    let passed = u64::from(outcome.is_ok());
    let fact = Fact {
        table: "package".to_owned(),
        row: "install, upgrade, remove, purge".to_owned(),
        column: column.to_owned(),
        value: if outcome.is_ok() { Value::Passed } else { Value::Failed },
    };
    let facts = vec![fact];
    total.add(Count { passed, failed: 1 - passed, facts, ..Count::default() });
    println!(
        "   {guest}: the Debian package: {passed} passed, {} failed in {} s",
        1 - passed,
        started.elapsed().as_secs()
    );
    outcome.map_err(|error| format!("{guest}: the Debian package: {error}"))
}

fn outcome(guest: Guest, binary: &Path) -> Result<()> {
    let dir = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    let pack = |suffix: &str, to: &str| {
        let packages = dist::all(binary, &Meta::find(suffix)?, &dir.path().join(to), Packing::Fast);
        packages.map(|packages| packages.into_iter().next().unwrap_or_default())
    };
    let (old, again, new) = (pack("", "old")?, pack("", "again")?, pack("+1", "new")?);
    let bytes = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    if bytes(&old)? != bytes(&again)? {
        return Err("packed twice, it comes out different".to_owned());
    }
    let machine = Machine::resume(guest)?;
    machine.push(&old, "/t/old.deb")?;
    machine.push(&new, "/t/new.deb")?;
    let words = ["sh", "-c", SCRIPT, "sh", "/t/old.deb", "/t/new.deb"];
    let outcome = machine.run(&words, LIMIT)?;
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    if outcome.status == 0 {
        Ok(())
    } else {
        Err(format!("ended with {}:\n{said}", outcome.status))
    }
}
