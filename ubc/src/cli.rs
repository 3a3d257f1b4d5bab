//! The command line.

mod files;
mod history;
pub(crate) mod knobs;
mod limits;
mod meminfo;
mod tables;
mod views;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use ubc_core::ContainerId;

use crate::run::runtime::INNER;

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("ubc")
        .version(env!("CARGO_PKG_VERSION"))
        .about("User beancounters for containers")
        .long_about(
            "User beancounters for containers: counts what a container holds, imposes the \
             limits this kernel can impose, and shows it all in the container's own \
             /proc/user_beancounters.",
        )
        .after_help(
            "Exit codes: 0 done; 64 wrong command line or value; 65 a configuration file is wrong; 66 no such container; 69 this \
             machine lacks something; 70 a fault of ubc; 71 the system refused; 73 the container \
             id is in use; 76 the daemon speaks another version; 77 needs root; 78 a limit \
             cannot be imposed. `ubc run` passes the exit code of the command through.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("run-dir")
                .long("run-dir")
                .global(true)
                .value_name("DIR")
                .default_value(crate::paths::USUAL)
                .value_parser(value_parser!(PathBuf))
                .help("Where the daemon and the containers keep what they need until reboot"),
        )
        .arg(
            Arg::new("config-dir")
                .long("config-dir")
                .global(true)
                .value_name("DIR")
                .default_value(ubc_config::USUAL)
                .value_parser(value_parser!(PathBuf))
                .help("Where vz.conf and conf/CTID.conf are"),
        )
        .subcommand(run())
        .subcommand(
            Command::new("show")
                .about("Show a container's rows, and who meters and enforces each")
                .arg(id("CTID").index(1).required(true))
                .arg(json()),
        )
        .subcommand(tables::list())
        .subcommand(limits::set())
        .subcommand(files::check())
        .subcommand(files::mem())
        .subcommand(files::split())
        .subcommand(files::import())
        .subcommand(history::watch())
        .subcommand(bench())
        .subcommand(
            Command::new("unload")
                .about("Take ubc's programs out of the kernel; no daemon may run"),
        )
        .subcommand(views::view())
        .subcommand(views::hook())
        .subcommand(views::runtime())
        .subcommand(
            Command::new("doctor")
                .about("Tell, row by row, how this machine meters and enforces, and why not")
                .arg(json()),
        )
        .subcommand(tables::parameters())
        .subcommand(tables::top())
        .subcommand(history::record())
        .subcommand(history::replay())
        .subcommand(tables::export())
        .subcommand(tables::completions())
        .subcommand(tables::man())
        .subcommand(
            Command::new("daemon")
                .about("Serve the views and hold the counts (started as needed)")
                .arg(
                    Arg::new("exit-idle")
                        .long("exit-idle")
                        .action(ArgAction::SetTrue)
                        .help("End when there is nothing left to do"),
                ),
        )
        .subcommand(
            Command::new(INNER).hide(true).arg(
                Arg::new("command")
                    .num_args(1..)
                    .last(true)
                    .required(true)
                    .value_parser(value_parser!(OsString)),
            ),
        )
}

fn bench() -> Command {
    Command::new("bench")
        .about("Measure what counting adds to a command: with it, without it, in turns")
        .after_help(
            "The command runs in a cgroup of its own, once to warm up and then ROUNDS times \
             with no programs in the kernel, in no container and in a container. Processor \
             time is that of all its processes. Where a daemon runs, the programs stay and the \
             first is left out.",
        )
        .arg(
            Arg::new("rounds")
                .long("rounds")
                .value_name("ROUNDS")
                .default_value("5")
                .value_parser(|text: &str| {
                    let rounds = text.parse::<usize>().ok();
                    rounds.filter(|rounds| (1..=1000).contains(rounds)).ok_or("accepted: 1 to 1000")
                })
                .help("How often it runs in each place"),
        )
        .arg(json())
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(1..)
                .last(true)
                .required(true)
                .value_parser(value_parser!(OsString))
                .help("What to run; what it prints is not shown"),
        )
}

fn run() -> Command {
    let command = Command::new("run")
        .about("Run a command in a new container that sees its own beancounters")
        .arg(id("id").long("id").required(true))
        .arg(
            Arg::new("cgroup")
                .long("cgroup")
                .value_name("PATH")
                .help("Existing cgroup to make the container's own in [default: ubc]"),
        )
        .arg(
            Arg::new("rootfs")
                .long("rootfs")
                .value_name("DIR")
                .value_parser(value_parser!(PathBuf))
                .help("Root file system [default: a minimal one made of busybox]"),
        )
        .arg(
            Arg::new("runtime")
                .long("runtime")
                .value_name("PROGRAM")
                .value_parser(value_parser!(PathBuf))
                .help("OCI runtime, by path or name [default: runc, else crun]"),
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("NAME")
                .help("Limits and schedule of this sample, not of the container's file"),
        )
        .arg(meminfo::meminfo())
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .num_args(1..)
                .last(true)
                .required(true)
                .help("What to run, after `--`"),
        );
    limits::limits(command)
}

fn id(name: &'static str) -> Arg {
    Arg::new(name)
        .value_name("CTID")
        .value_parser(|text: &str| text.parse::<ContainerId>())
        .help("Container id, 1 to 99999999")
}

fn json() -> Arg {
    Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON")
}

pub(crate) use meminfo::{given as meminfo_given, wanted as meminfo};

/// A required argument that clap has checked.
pub(crate) fn required<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).cloned().expect("clap checked that it is there")
}

/// The message of a clap error without its usage, tips behind it.
pub(crate) fn one_line(rendered: &str) -> String {
    let text = rendered.split("\nUsage:").next().unwrap_or(rendered);
    let text = text.split("\nFor more information").next().unwrap_or(text);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ").replace(" tip: ", "; ");
    format!("{}; try --help", line.strip_prefix("error: ").unwrap_or(&line))
}

#[cfg(test)]
mod tests {
    use ubc_core::Resource;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        command().debug_assert();
    }

    #[test]
    fn every_resource_has_its_option() {
        for resource in Resource::ALL {
            let option = format!("--{resource}=1");
            let line = ["ubc", "set", "101", &option];
            let matches = command().try_get_matches_from(line).unwrap();
            let set = matches.subcommand_matches("set").unwrap();
            assert_eq!(set.get_one::<String>(resource.name()).unwrap(), "1");
        }
    }

    #[test]
    fn a_wrong_option_is_one_line_with_the_right_one_in_it() {
        let line = |args: &[&str]| {
            one_line(&command().try_get_matches_from(args).unwrap_err().render().to_string())
        };
        assert_eq!(
            line(&["ubc", "set", "101", "--numfiles", "5"]),
            "unexpected argument '--numfiles' found; a similar argument exists: '--numfile'; \
             try --help"
        );
        for args in [&["ubc", "show"][..], &["ubc", "run", "--id", "x", "--", "y"], &["ubc", "z"]] {
            assert!(!line(args).contains('\n') && !line(args).contains("Usage"), "{args:?}");
        }
    }

    #[test]
    fn ids_and_options_that_are_none_are_refused() {
        for line in [
            &["ubc", "show", "100000000"][..],
            &["ubc", "show", "-1"],
            &["ubc", "set", "101", "--numprocs", "1"],
            &["ubc", "run", "--id", "1"],
            &["ubc", "run", "--", "true"],
            &["ubc"],
        ] {
            assert!(command().try_get_matches_from(line).is_err(), "{line:?}");
        }
    }
}
