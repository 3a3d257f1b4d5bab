//! Runs the groups, tells what came out, and keeps it.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use ubc_benches::groups::kernel::{self, Unit};
use ubc_benches::groups::{engine, meters, scale, view};
use ubc_benches::page::page;
use ubc_benches::pairs::Effort;
use ubc_benches::report::Group;
use ubc_benches::worker;

/// Measures each figure next to its yardstick.
#[derive(Parser)]
struct Cli {
    /// What to measure
    #[arg(value_enum, default_value_t = What::All)]
    what: What,
    /// Run everything briefly: the figures mean little
    #[arg(long)]
    quick: bool,
    /// The clock of this machine counts instructions: say so, in the group kernel
    #[arg(long)]
    instructions: bool,
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
    /// A node with very many containers
    Scale,
    /// What the kernel's programs add to system calls
    Kernel,
    /// All of them
    All,
}

/// How a group is measured.
type Measure = fn(&Cli, Effort, &mut Group) -> Result<(), Box<dyn Error>>;

const GROUPS: [(What, &str, Measure); 5] = [
    (What::Engine, "engine", |_, effort, group| engine::measure(effort, group)),
    (What::View, "view", |_, effort, group| view::measure(effort, group)),
    (What::Meters, "meters", |_, effort, group| meters::measure(effort, group)),
    (What::Scale, "scale", |_, effort, group| scale::measure(effort, group)),
    (What::Kernel, "kernel", |cli, effort, group| {
        let unit = if cli.instructions { Unit::Instructions } else { Unit::Nanoseconds };
        kernel::measure(effort, unit, group)
    }),
];

fn main() -> ExitCode {
    let told = if std::env::args().nth(1).is_some_and(|word| word == worker::VERB) {
        worker::work()
    } else {
        run(&Cli::parse())
    };
    match told {
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
        measure(cli, effort, &mut group)?;
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
