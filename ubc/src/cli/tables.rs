//! Commands that only tell.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, value_parser};
use clap_complete::Shell;
use ubc_core::Resource;
use ubc_procfs::text::name::resource_by_name;

use super::json;

/// `ubc parameters`.
pub(super) fn parameters() -> Command {
    Command::new("parameters")
        .about("Tell the unit, meters and limiters of every parameter on any machine")
        .arg(
            Arg::new("NAME")
                .value_parser(|text: &str| -> Result<Resource, _> { resource_by_name(text) })
                .help("Only this one, and more of it: numfile"),
        )
        .arg(
            Arg::new("format")
                .long("format")
                .value_parser(PossibleValuesParser::new(["text", "markdown"]))
                .default_value("text")
                .help("How to print it"),
        )
}

/// `ubc list`.
pub(super) fn list() -> Command {
    let flag = |name: &'static str, short: char, help: &'static str| {
        Arg::new(name).short(short).action(ArgAction::SetTrue).help(help)
    };
    Command::new("list")
        .about("List the containers, with vzlist's fields and options")
        .arg(super::id("CTID").index(1).num_args(0..).help("Only these [default: all that run]"))
        .arg(flag("all", 'a', "Also those that have a file and do not run").long("all"))
        .arg(flag("stopped", 'S', "Only those that have a file and do not run").long("stopped"))
        .arg(Arg::new("output").short('o').long("output").value_name("FIELD,...").help(
            "These fields; of a row held, or with .m .b .l .f maxheld, barrier, limit, failcnt",
        ))
        .arg(
            Arg::new("sort")
                .short('s')
                .long("sort")
                .value_name("[-]FIELD")
                .allow_hyphen_values(true)
                .help("By this field, with - the other way round [default: ctid]"),
        )
        .arg(flag("no-header", 'H', "Without heads").long("no-header"))
        .arg(flag("ids", '1', "Only ids, without heads"))
        .arg(flag("fields", 'L', "The fields there are, and their heads").long("list"))
        .arg(
            json()
                .short('j')
                .help("Print JSON: all of what is known of those that run")
                .conflicts_with_all(["all", "stopped", "output", "sort", "no-header", "ids"]),
        )
}

/// `ubc top`.
pub(super) fn top() -> Command {
    Command::new("top")
        .about("Watch rows live: how full each is, its history, and what is refused")
        .arg(super::id("CTID").index(1).num_args(0..).help("Only these [default: all]"))
        .arg(
            Arg::new("delay")
                .short('d')
                .long("delay")
                .value_name("SECONDS")
                .default_value("2")
                .value_parser(|text: &str| {
                    let seconds = text.parse::<f64>().ok();
                    seconds
                        .filter(|seconds| (0.1..=3600.0).contains(seconds))
                        .ok_or("accepted: seconds from 0.1 to 3600")
                })
                .help("How long from one reading to the next"),
        )
}

/// `ubc export`.
pub(super) fn export() -> Command {
    Command::new("export")
        .about("Print every container's rows as OpenMetrics, or serve them to Prometheus")
        .arg(
            Arg::new("listen").long("listen").value_name("ADDRESS:PORT").help(
                "Serve them at http://ADDRESS:PORT/metrics; whoever reaches it can read them",
            ),
        )
}

/// `ubc completions`.
pub(super) fn completions() -> Command {
    Command::new("completions").about("Print what a shell needs to complete ubc's options").arg(
        Arg::new("shell")
            .value_name("SHELL")
            .required(true)
            .value_parser(value_parser!(Shell))
            .help("Which shell"),
    )
}

/// `ubc man`.
pub(super) fn man() -> Command {
    Command::new("man").about("Print the manual page, or write one for each command").arg(
        Arg::new("dir")
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .help("Write them all here"),
    )
}
