//! `cargo xtask vm`: real machines to test in, resumed in seconds.
//!
//! A development machine often lacks what we test against: a unified cgroup
//! hierarchy, a kernel that takes our programs, systemd. So: Debian in QEMU,
//! emulated (a virtual machine cannot count on nested virtualisation), saved
//! once while booted and idle, resumed from there each time. docs/testbed.md
//! has the recipe, the pitfalls and the measurements.

mod apt;
mod cache;
mod cpio;
mod guest;
mod host;
mod image;
mod keeper;
mod kept;
mod kernel;
mod machine;
mod process;
mod qemu;
mod qmp;
mod quote;
mod recipe;
mod rootfs;
mod scratch;
mod snapshot;
mod ssh;
mod tail;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;

use crate::run::Result;

pub(crate) use cache::{dir as cache_dir, lock as cache_lock};
pub(crate) use guest::Guest;
pub(crate) use machine::Machine;
pub(crate) use quote::word as quoted;

/// What to do with a machine.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Build the image of a guest and save it booted, if that is not done yet
    Build {
        #[arg(long, value_enum, default_value_t)]
        guest: Guest,
    },
    /// Run one command in a fresh machine; its output and exit status are ours
    Run {
        #[arg(long, value_enum, default_value_t)]
        guest: Guest,
        /// Use the machine an earlier --keep left running, and leave it running
        #[arg(long)]
        keep: bool,
        /// Let its processors take turns, in one thread of this machine
        #[arg(long, conflicts_with = "keep")]
        by_turns: bool,
        /// Copy a file or directory in first
        #[arg(long, value_name = "LOCAL:REMOTE")]
        push: Vec<String>,
        /// Give up after this many seconds
        #[arg(long, default_value_t = 600)]
        timeout: u64,
        /// The command, word by word; no shell looks at it (use sh -c for one)
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
    /// A prompt in a fresh machine
    Shell {
        #[arg(long, value_enum, default_value_t)]
        guest: Guest,
        /// Use the machine an earlier --keep left running, and leave it running
        #[arg(long)]
        keep: bool,
    },
    /// Stop the machine that --keep left running
    Down {
        #[arg(long, value_enum, default_value_t)]
        guest: Guest,
    },
}

/// Does it. The status is the command's own where one was run.
pub(crate) fn vm(verb: &Verb) -> Result<ExitCode> {
    match verb {
        Verb::Build { guest } => {
            let image = image::ensure(*guest)?;
            snapshot::ensure(&image)?;
            say(&format!("{guest} is ready in {}", image.dir().display()));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Run { guest, keep, by_turns, push, timeout, command } => {
            let machine =
                if *by_turns { Machine::by_turns(*guest)? } else { start(*guest, *keep)? };
            for pair in push {
                let (local, remote) = self::pair(pair)?;
                machine.push(Path::new(local), remote)?;
            }
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            machine.pass_through(&words, Duration::from_secs(*timeout)).map(status)
        }
        Verb::Shell { guest, keep } => start(*guest, *keep)?.shell().map(status),
        Verb::Down { guest } => kept::stop(*guest).map(|()| ExitCode::SUCCESS),
    }
}

/// Both sides of what `--push` is given.
pub(crate) fn pair(pair: &str) -> Result<(&str, &str)> {
    pair.split_once(':').ok_or_else(|| format!("--push {pair}: not LOCAL:REMOTE"))
}

fn start(guest: Guest, keep: bool) -> Result<Machine> {
    if keep { kept::attach_or_start(guest) } else { Machine::resume(guest) }
}

fn status(code: i32) -> ExitCode {
    // What does not fit in a status is a failure all the same.
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// Tells people what goes on, without mixing it into what a command prints.
fn say(text: &str) {
    eprintln!("vm: {text}");
}
