//! Runs the groups, tells what came out, and keeps it.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ubc_benches::groups::{engine, meters, view};
use ubc_benches::page::page;
use ubc_benches::pairs::Effort;
use ubc_benches::report::Group;

/// Measures each figure next to its yardstick.
#[derive(Parser)]
struct Cli {
    /// What to measure
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// Run everything briefly: the figures mean little
    #[arg(long)]
    quick: bool,
    /// Where the results go [default: target/ubc-bench, below it if brief]
    #[arg(long)]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Charging and reading in memory
    Engine,
    /// Reading the file in a container
    View,
    /// What containers hold, taken from the kernel
    Meters,
    /// All of them
    All,
}

/// How a group is measured.
type Measure = fn(Effort, &mut Group) -> Result<(), Box<dyn Error>>;

const GROUPS: [(What, &str, Measure); 3] = [
    (What::Engine, "engine", engine::measure),
    (What::View, "view", view::measure),
    (What::Meters, "meters", meters::measure),
];

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    // Brief figures must not take the place of real ones.
    let (effort, out) = if cli.quick {
        (Effort::QUICK, "target/ubc-bench/quick")
    } else {
        (Effort::FULL, "target/ubc-bench")
    };
    let out = cli.out.clone().unwrap_or_else(|| PathBuf::from(out));
    for (what, name, measure) in GROUPS {
        if cli.what != What::All && cli.what != what {
            continue;
        }
        eprintln!("== {name}");
        let mut group = Group::new(name, cli.quick);
        measure(effort, &mut group)?;
        group.save(&out)?;
        println!("{name}: {}\n\n{}", group.machine, group.table());
    }
    // All that was ever measured, so that one group alone keeps the others.
    let loaded: Result<Vec<_>, _> =
        GROUPS.iter().map(|(_, name, _)| Group::load(&out, name)).collect();
    let groups: Vec<Group> = loaded?.into_iter().flatten().collect();
    let path = out.join("index.html");
    std::fs::write(&path, page(&groups)?)?;
    println!("plots: {}", path.display());
    Ok(())
}
