//! The options of the CPU and I/O schedulers.

use clap::{Arg, Command};
use ubc_cgroup::Knob;

/// The option of each knob, as vzctl named them.
pub(super) fn knobs(command: Command) -> Command {
    command.args(Knob::ALL.map(|knob| {
        Arg::new(knob.name())
            .long(knob.name())
            .value_name(value_name(knob))
            .help_heading("Schedulers")
            .help(help(knob))
    }))
}

fn value_name(knob: Knob) -> &'static str {
    match knob {
        Knob::CpuUnits => "UNITS",
        Knob::CpuLimit => "PERCENT|N%|NMHz",
        Knob::Cpus | Knob::IopsLimit => "N",
        Knob::CpuMask | Knob::NodeMask => "LIST",
        Knob::IoPriority => "0..7",
        Knob::IoLimit => "RATE",
    }
}

/// What it takes, in a sentence.
pub(crate) fn help(knob: Knob) -> &'static str {
    match knob {
        Knob::CpuUnits => "Share of busy CPUs, 8 to 500000 [default: 1000]",
        Knob::CpuLimit => {
            "Most CPU time: percent of one CPU, percent of all CPUs with `%`, MHz with `m`; \
             0 or `unlimited` for none"
        }
        Knob::Cpus => "Most CPUs' worth of time; 0 or `unlimited` for all",
        Knob::CpuMask => "CPUs to run on: 0-2,5 or `all`",
        Knob::NodeMask => "Memory nodes to allocate from: 0-1 or `all`",
        Knob::IoPriority => "Share of busy devices, 0 to 7 [default: 4]",
        Knob::IoLimit => {
            "Most bytes per second of each device: megabytes, or bytes with a suffix K M G B; \
             0 or `unlimited` for none"
        }
        Knob::IopsLimit => "Most operations per second of each device; 0 or `unlimited` for none",
    }
}
