//! The command line that docs/runtimes.md gives for podman, run as it stands
//! there.

use std::time::Duration;

use clap::Parser;

use crate::facts::{Fact, Value};
use crate::run::{Result, root};
use crate::tests::Count;
use crate::vm::{self, Guest, Machine};
use crate::{Cli, Verb};

const DOCUMENT: &str = "docs/runtimes.md";

/// How the line begins.
const START: &str = "    cargo xtask vm run ";

/// Runs it in a guest; what it prints must be a container's live numbers.
pub(super) fn run(guest: Guest, column: &str, total: &mut Count) -> Result<()> {
    let outcome = outcome(guest);
    let value = match &outcome {
        Ok(()) => Value::Passed,
        Err(_) => Value::Failed,
    };
    let passed = u64::from(outcome.is_ok());
    let fact = Fact {
        table: "runtimes".to_owned(),
        row: "podman run, as documented".to_owned(),
        column: column.to_owned(),
        value,
    };
    let facts = vec![fact];
    total.add(Count { passed, failed: 1 - passed, facts, ..Count::default() });
    println!("   {guest}: the line of {DOCUMENT}: {passed} passed, {} failed", 1 - passed);
    outcome.map_err(|error| format!("{guest}: the line of {DOCUMENT}: {error}"))
}

fn outcome(guest: Guest) -> Result<()> {
    let text = std::fs::read_to_string(root().join(DOCUMENT)).map_err(|e| e.to_string())?;
    let (push, command) = line(&text)?;
    let machine = Machine::resume(guest)?;
    for pair in &push {
        let (local, remote) = vm::pair(pair)?;
        machine.push(&root().join(local), remote)?;
    }
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let outcome = machine.run(&words, Duration::from_mins(10))?;
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    if outcome.status != 0 {
        return Err(format!("ended with {}: {said}", outcome.status));
    }
    check(&outcome.stdout).map_err(|why| format!("{why}: {said}"))
}

/// What to push, and the command.
fn line(text: &str) -> Result<(Vec<String>, Vec<String>)> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with(START));
    let mut whole = String::new();
    for line in &mut lines {
        let line = line.trim();
        let Some(part) = line.strip_suffix('\\') else {
            whole.push_str(line);
            break;
        };
        whole.push_str(part);
    }
    let words = whole.split_whitespace().skip(1);
    let cli = Cli::try_parse_from(words).map_err(|error| format!("{DOCUMENT}: {error}"))?;
    match cli.verb {
        Verb::Vm { verb: vm::Verb::Run { push, command, .. } } => Ok((push, command)),
        _ => Err(format!("{DOCUMENT} has no line {START:?}")),
    }
}

/// A file of one container, whose numbers are those of one process that lives.
fn check(file: &str) -> Result<()> {
    if !file.starts_with("Version: 2.5\n") {
        return Err("no such file".to_owned());
    }
    let held = |name: &str| {
        let row = file.lines().find_map(|line| line.split_once(&format!(" {name} ")));
        row.and_then(|(_, rest)| rest.split_whitespace().next()?.parse::<u64>().ok())
    };
    match (held("numproc"), held("numfile"), held("privvmpages")) {
        (Some(1), Some(3..), Some(1..)) => Ok(()),
        other => Err(format!("numproc, numfile and privvmpages of one cat are not {other:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documented_line_is_found_and_is_one() {
        let text = std::fs::read_to_string(root().join(DOCUMENT)).unwrap();
        let (push, command) = line(&text).unwrap();
        assert!(push.iter().all(|pair| Path::new(pair).is_relative()));
        assert_eq!(command[..2], ["podman", "run"]);
        assert!(line("nothing\n").is_err());
    }

    #[test]
    fn numbers_of_nobody_are_refused() {
        let file = |held: u64| {
            let row = |name: &str, held| format!("   {name}   {held} {held} 9 9 0\n");
            let rows = [row("numproc", held), row("numfile", 4), row("privvmpages", 80)];
            format!("Version: 2.5\n{}", rows.concat())
        };
        assert_eq!(check(&file(1)), Ok(()));
        assert!(check(&file(0)).is_err());
        assert!(check("cat: /proc/user_beancounters: No such file\n").is_err());
    }
}
