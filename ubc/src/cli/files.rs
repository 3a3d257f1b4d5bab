//! Commands over configuration files and what they add up to.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use super::json;

/// `ubc check`.
pub(super) fn check() -> Command {
    Command::new("check")
        .about("Judge configurations by vzcfgvalidate's rules")
        .long_about(
            "Judge configurations by vzcfgvalidate's rules. The exit code is 65 if there is an \
             error in one; warnings and recommendations are none.",
        )
        .arg(
            Arg::new("target")
                .value_name("FILE|CTID")
                .num_args(1..)
                .required(true)
                .help("A file, or the container whose file is meant"),
        )
        .arg(flag("repair", "Raise what is too low, and save it").short('r'))
        .arg(json())
}

/// `ubc mem`.
pub(super) fn mem() -> Command {
    let command = Command::new("mem")
        .about("Tell how much memory containers use, were promised and may take")
        .long_about(
            "Tell how much memory containers use, were promised and may take: of all the table \
             of vzmemcheck, of one that of vzcalc.",
        )
        .arg(super::id("CTID").index(1))
        .arg(flag("verbose", "A line for each container, or for each kind of memory").short('v'))
        .arg(flag("megabytes", "Megabytes instead of percent").short('A').conflicts_with("CTID"))
        .arg(
            Arg::new("file")
                .long("file")
                .short('f')
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("A saved /proc/user_beancounters, of any OpenVZ host, instead of containers"),
        )
        .arg(json());
    host(command)
}

/// `ubc split`.
pub(super) fn split() -> Command {
    let command = Command::new("split")
        .about("Divide a host among N equal containers, as vzsplit does")
        .arg(
            Arg::new("number")
                .value_name("N")
                .required(true)
                .value_parser(value_parser!(u64).range(1..))
                .help("How many containers"),
        )
        .arg(
            Arg::new("name")
                .long("name")
                .short('f')
                .value_name("NAME")
                .help("Keep it as sample NAME, for --applyconfig and `ubc run --config`"),
        )
        .arg(flag("vswap", "RAM and swap instead of a limit for each row"))
        .arg(json());
    host(command)
}

/// `ubc import-vz`.
pub(super) fn import() -> Command {
    Command::new("import-vz")
        .about("Take over the configurations of an OpenVZ host, all or none")
        .arg(
            Arg::new("DIR")
                .required(true)
                .value_parser(value_parser!(PathBuf))
                .help("A copy of its /etc/vz"),
        )
        .arg(flag("force", "Replace files that are there"))
        .arg(flag("dry-run", "Only tell what would be taken").short('n'))
        .arg(json())
}

/// Sizes of another host.
fn host(command: Command) -> Command {
    let size = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("SIZE").help_heading("Another host").help(help)
    };
    command.args([
        size("host-ram", "Its RAM [default: this one's]"),
        size("host-swap", "Its swap [default: this one's]"),
        size("host-low", "Its low memory [default: all RAM]"),
        Arg::new("host-threads")
            .long("host-threads")
            .value_name("N")
            .value_parser(value_parser!(u64).range(1..))
            .help_heading("Another host")
            .help("Threads its kernel allows [default: this one's]"),
    ])
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}
