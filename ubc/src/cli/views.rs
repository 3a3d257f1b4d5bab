//! Views in containers that somebody else made.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgGroup, Command, value_parser};

/// `ubc view`.
pub(super) fn view() -> Command {
    Command::new("view")
        .about("Put the view into a running container of any runtime, or take it away")
        .arg(
            Arg::new("attach")
                .long("attach")
                .value_name("PID")
                .value_parser(value_parser!(u32).range(1..))
                .help("Take over the container of this process, its init by preference"),
        )
        .arg(
            Arg::new("detach")
                .long("detach")
                .value_name("CTID|PID")
                .value_parser(value_parser!(u32).range(1..))
                .conflicts_with_all(["id", "name", "proc", "meminfo"])
                .help("Forget a container taken over; it runs on without the view"),
        )
        .group(ArgGroup::new("what").args(["attach", "detach"]).required(true))
        .arg(super::id("id").long("id").help("Container id [default: a free one from 10000000]"))
        .arg(
            Arg::new("name")
                .long("name")
                .value_name("NAME")
                .value_parser(clap::builder::NonEmptyStringValueParser::new())
                .help("What its runtime calls it; a name has the same id each time"),
        )
        .arg(
            Arg::new("proc")
                .long("proc")
                .value_name("PATH")
                .default_value("/proc")
                .value_parser(value_parser!(PathBuf))
                .help("Where the container has its procfs"),
        )
        .arg(super::meminfo::meminfo())
}

/// `ubc hook`.
pub(super) fn hook() -> Command {
    Command::new("hook")
        .about("Be a hook of a container runtime: give each container the view as it starts")
        .long_about(
            "Be a hook of a container runtime: give each container the view as it starts. An OCI \
             runtime runs it as createRuntime or prestart hook, and tells the container's state \
             on standard input; LXC runs it with --lxc as lxc.hook.start-host. The annotation \
             org.openvz.ubc.ctid gives the container id.",
        )
        .arg(
            Arg::new("on-error")
                .long("on-error")
                .value_name("WHAT")
                .value_parser(PossibleValuesParser::new(["fail", "warn"]))
                .default_value("fail")
                .help("Fail, so that the container does not start, or warn and let it start"),
        )
        .arg(
            Arg::new("lxc")
                .long("lxc")
                .action(ArgAction::SetTrue)
                .help("LXC's hook: read the container from LXC_PID and LXC_NAME"),
        )
        .arg(super::meminfo::meminfo())
        .arg(
            Arg::new("phase")
                .value_name("PHASE")
                .num_args(0..)
                .help("createRuntime, prestart or poststop [default: by the state told]"),
        )
}

/// `ubc runtime`.
pub(super) fn runtime() -> Command {
    Command::new("runtime")
        .about("Be an OCI runtime: the real one, whose containers get view and limits")
        .long_about(
            "Be an OCI runtime: the real one, whose containers get view and limits. Before it \
             becomes runc, crun or youki, whichever /etc/ubc/runtime.conf names, it puts the hook \
             and the limits of a new container into the bundle's config.json: those of its \
             annotations org.openvz.ubc.numfile=512:512 and the like, its profile, or its file. \
             Engines want a path without arguments: a link to ubc that is named ubc-runc, \
             ubc-crun or ubc-youki is that, and ubc-runtime for the one that is configured.",
        )
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(
            Arg::new("words")
                .value_name("ARGUMENTS")
                .help("The real runtime's own arguments, all of them")
                .num_args(0..)
                .trailing_var_arg(true)
                .allow_hyphen_values(true)
                .value_parser(value_parser!(OsString)),
        )
}
