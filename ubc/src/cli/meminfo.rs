//! A /proc/meminfo of the container's own.

use clap::{Arg, ArgMatches};
use ubc_procfs::text::meminfo::MemorySize;

/// `none`, or the size: an option of its own, so that clap does not take the
/// inner `None` for an absent argument.
#[derive(Clone, Copy)]
struct Wanted(Option<MemorySize>);

/// `--meminfo`, as vzctl has it, but off unless asked for.
pub(super) fn meminfo() -> Arg {
    Arg::new("meminfo")
        .long("meminfo")
        .value_name("none|pages:N|privvmpages:N")
        .default_value("none")
        .value_parser(|text: &str| MemorySize::parse(text).map(Wanted))
        .help(
            "Its own /proc/meminfo: as large as physpages if limited, else N pages or N times \
             the barrier of privvmpages",
        )
}

/// What it says.
pub(crate) fn wanted(matches: &ArgMatches) -> Option<MemorySize> {
    matches.get_one::<Wanted>("meminfo").and_then(|wanted| wanted.0)
}

/// Whether the command line says anything of it.
pub(crate) fn given(matches: &ArgMatches) -> bool {
    matches.value_source("meminfo") == Some(clap::parser::ValueSource::CommandLine)
}
