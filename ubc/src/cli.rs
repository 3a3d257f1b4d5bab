//! The command line.

mod files;
pub(crate) mod knobs;
mod meminfo;
mod tables;
mod views;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, value_parser};
use ubc_core::{ContainerId, Resource, Unit};

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
        .subcommand(set())
        .subcommand(files::check())
        .subcommand(files::mem())
        .subcommand(files::split())
        .subcommand(files::import())
        .subcommand(
            Command::new("watch")
                .about("Tell what the kernel's programs refuse, as it happens")
                .arg(id("CTID").index(1))
                .arg(json()),
        )
        .subcommand(
            Command::new("unload")
                .about("Take ubc's programs out of the kernel; no daemon may run"),
        )
        .subcommand(views::view())
        .subcommand(views::hook())
        .subcommand(
            Command::new("doctor")
                .about("Tell, row by row, how this machine meters and enforces, and why not")
                .arg(json()),
        )
        .subcommand(
            Command::new("parameters")
                .about("Tell the unit, meters and limiters of every parameter on any machine")
                .arg(
                    Arg::new("format")
                        .long("format")
                        .value_parser(PossibleValuesParser::new(["text", "markdown"]))
                        .default_value("text")
                        .help("How to print it"),
                ),
        )
        .subcommand(tables::top())
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
    limits(command)
}

fn set() -> Command {
    let command = Command::new("set")
        .about("Change limits and schedule of a container, all or none")
        .arg(id("CTID").index(1).required(true));
    let own = command.get_arguments().count();
    let command = limits(command).arg(
        Arg::new("avnumproc")
            .long("avnumproc")
            .value_name("N")
            .requires("save")
            .help_heading("Limits")
            .help("Processes to expect on average, for `ubc check`"),
    );
    let changes = command.get_arguments().skip(own).filter(|arg| arg.get_id() != "strict");
    let changes: Vec<_> = changes.map(|arg| arg.get_id().clone()).collect();
    command
        .group(ArgGroup::new("changes").args(changes).multiple(true))
        .arg(
            Arg::new("save")
                .long("save")
                .action(ArgAction::SetTrue)
                .help("Also write the change to the container's file, which is made if need be"),
        )
        .arg(
            Arg::new("applyconfig")
                .long("applyconfig")
                .value_name("NAME")
                .help("Everything the sample NAME says: basic, light, vswap-1g, or one of yours"),
        )
        .arg(
            Arg::new("reset_ub")
                .long("reset_ub")
                .action(ArgAction::SetTrue)
                .conflicts_with_all(["changes", "applyconfig", "save"])
                .help("The limits of the container's file again"),
        )
}

/// The short options vzctl has for some rows.
fn short(resource: Resource) -> Option<char> {
    Some(match resource {
        Resource::KmemSize => 'k',
        Resource::LockedPages => 'l',
        Resource::NumProc => 'p',
        Resource::NumFlock => 'f',
        Resource::NumPty => 't',
        Resource::NumSigInfo => 'i',
        Resource::TcpRcvBuf => 'b',
        Resource::DcacheSize => 'x',
        Resource::NumFile => 'n',
        Resource::NumIptEnt => 'e',
        _ => return None,
    })
}

/// The options of each resource and knob, as vzctl named them.
fn limits(command: Command) -> Command {
    let options = Resource::ALL.into_iter().map(|resource| {
        let (unit, suffixes) = match resource.unit() {
            Unit::Bytes => ("bytes", ", or with a suffix K M G T P(ages)"),
            Unit::Pages => ("pages", ", or bytes with a suffix K M G T B"),
            Unit::Count => ("pieces", ""),
        };
        let option = Arg::new(resource.name()).long(resource.name());
        let option = if let Some(short) = short(resource) { option.short(short) } else { option };
        option
            .value_name("BARRIER[:LIMIT]")
            .help_heading("Limits")
            .help(format!("In {unit}{suffixes}; or `unlimited`"))
    });
    let memory = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("SIZE").help_heading("Limits").help(help)
    };
    let command = command
        .args(options)
        .args([
            memory(
                "ram",
                "VSwap: physpages, in bytes or with a suffix, and the rows that follow from it",
            ),
            memory("swap", "VSwap: swappages, likewise"),
            Arg::new("vm_overcommit")
                .long("vm_overcommit")
                .value_name("FACTOR")
                .help_heading("Limits")
                .help("VSwap: privvmpages is ram and swap times this [default: unlimited]"),
        ])
        .arg(
            Arg::new("strict")
                .long("strict")
                .action(ArgAction::SetTrue)
                .help_heading("Limits")
                .help("Fail if a limit or a schedule cannot be imposed on this machine"),
        );
    knobs::knobs(command)
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
