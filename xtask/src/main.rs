//! `cargo xtask VERB`: the same verbs on a laptop and in CI.
#![forbid(unsafe_code)]

mod api;
mod bench;
mod demo;
mod dist;
mod facts;
mod fuzz;
mod machines;
mod no_std;
mod packages;
mod promtool;
mod run;
mod soak;
mod suite;
mod supply;
mod tests;
mod vm;
mod youki;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own verbs.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Start a real container and watch it read its own beancounters
    Demo,
    /// Run every check and test there is
    Test {
        /// Only the steps whose name contains this
        #[arg(long)]
        only: Option<String>,
    },
    /// Measure what counting and reading cost, next to yardsticks
    Bench {
        /// What to measure
        #[arg(value_parser = bench::GROUPS, default_value = "all")]
        what: String,
        /// Run everything briefly: the figures mean little
        #[arg(long)]
        quick: bool,
        /// Run criterion's groups instead: absolute times and their curves
        #[arg(long)]
        curves: bool,
        /// Measure the group kernel on this machine, not in one that counts instructions
        #[arg(long)]
        here: bool,
    },
    /// Fuzz the parsers
    Fuzz {
        /// How long: each target where coverage can guide it, else all together
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this target
        #[arg(long)]
        target: Option<String>,
        /// Then keep in fuzz/found the fewest inputs that reach what all of them reach
        #[arg(long)]
        keep: bool,
    },
    /// Kill, fuzz and attack for as long as one likes, to find the rare
    Soak {
        /// What to run
        #[arg(value_parser = soak::PARTS, default_value = "all")]
        what: String,
        /// How long, all together
        #[arg(long, default_value_t = 60)]
        minutes: u64,
    },
    /// Have cargo-deny look at licences, sources and advisories of all dependencies
    Deny {
        /// Not for advisories, whose database has to be fetched
        #[arg(long)]
        without_advisories: bool,
    },
    /// Make the Debian packages
    Dist {
        /// The cargo profile the command is built in
        #[arg(long, default_value = "release")]
        profile: String,
        /// Added to the packages' version, as `+1` for a newer one of the same source
        #[arg(long, default_value = "")]
        suffix: String,
        /// The directory they go to
        #[arg(long, value_name = "DIR", default_value = "target/dist")]
        out: PathBuf,
        /// Install, upgrade, reboot, remove and purge them in a Debian machine
        #[arg(long)]
        tried: bool,
        /// Make them again from a copy of the source elsewhere: every byte has to be the same
        #[arg(long)]
        reproduced: bool,
    },
    /// Test machines with other kernels, emulated
    Vm {
        #[command(subcommand)]
        verb: vm::Verb,
    },
}

fn main() -> ExitCode {
    let done = |result: run::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match Cli::parse().verb {
        Verb::Demo => done(demo::demo()),
        Verb::Test { only } => done(suite::suite(only.as_deref())),
        Verb::Bench { what, quick, curves, here } => done(bench::bench(&what, quick, curves, here)),
        Verb::Fuzz { seconds, target, keep } => done(fuzz::fuzz(seconds, target.as_deref(), keep)),
        Verb::Soak { what, minutes } => done(soak::soak(&what, minutes)),
        Verb::Deny { without_advisories } => done(supply::deny(without_advisories)),
        Verb::Dist { profile, suffix, out, tried, reproduced } => {
            let packed = dist::dist(&profile, &suffix, &out, reproduced);
            done(packed.and_then(
                |binary| {
                    if tried { machines::package::try_out(&binary) } else { Ok(()) }
                },
            ))
        }
        Verb::Vm { verb } => vm::vm(&verb),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
