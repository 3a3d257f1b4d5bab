//! The options of limits, and `ubc set`, which has all of them.

use clap::{Arg, ArgAction, ArgGroup, Command};
use ubc_core::{Resource, Unit};

/// `ubc set`.
pub(super) fn set() -> Command {
    let command = Command::new("set")
        .about("Change limits and schedule of a container, all or none")
        .arg(super::id("CTID").index(1).required(true));
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
pub(super) fn limits(command: Command) -> Command {
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
    super::knobs::knobs(command)
}
