//! A runner on libcontainer, youki's library: makes an OCI container, gives it
//! beancounters, limits and its own `/proc/user_beancounters`, and starts it.
//!
//! ```text
//! ubc-runner --id ID --rootfs DIRECTORY [RESOURCE=BARRIER:LIMIT]... -- PROGRAM [ARGUMENT]...
//! ```
//!
//! The order is what an author of a runtime can take from here: the container is
//! made first, and waits; then the node takes it over by its init; then it is
//! started, with everything in force. (libcontainer clones its own process, which
//! must have one thread then; an open node has three more.) It needs a machine
//! whose only cgroup hierarchy is cgroup2, as libcontainer does here.
#![forbid(unsafe_code)]

mod asked;
mod bundle;

use std::error::Error;
use std::process::ExitCode;

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};
use ubc_node::ubc_procfs::Place;
use ubc_node::{Adopt, Node, Options, Subscription};

use asked::Asked;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where libcontainer keeps what it knows of its containers.
const STATE: &str = "/run/ubc-runner";

/// The cgroup that all its containers are in.
const CGROUP: &str = "/sys/fs/cgroup/ubc-runner";

fn main() -> ExitCode {
    let outcome = Asked::from(std::env::args().skip(1)).and_then(|asked| run(&asked));
    outcome.unwrap_or_else(|error| {
        eprintln!("ubc-runner: {error}");
        ExitCode::from(70)
    })
}

fn run(asked: &Asked) -> Result<ExitCode> {
    let bundle = tempfile::tempdir()?;
    bundle::write(bundle.path(), asked)?;
    std::fs::create_dir_all(STATE)?;
    // libcontainer would make it too, but of two at once one fails.
    std::fs::create_dir_all(CGROUP)?;
    let mut container = ContainerBuilder::new(format!("ct{}", asked.id), SyscallType::default())
        .with_root_path(STATE)?
        .validate_id()?
        .as_init(bundle.path())
        .with_systemd(false)
        .with_detach(false)
        .build()?;
    // From here on it goes again, whatever happens.
    let outcome = started(&mut container, asked);
    let deleted = container.delete(true);
    let code = outcome?;
    deleted?;
    Ok(code)
}

fn started(container: &mut Container, asked: &Asked) -> Result<ExitCode> {
    let init = container.pid().ok_or("libcontainer tells no init")?.as_raw();
    let node = Node::open(Options::default())?;
    let adopt = Adopt::process(u32::try_from(init)?).id(asked.id).limits(asked.limits);
    let (beancounters, kept) = node.adopt(&adopt.view(Place::default()))?;
    for limit in kept {
        eprintln!("ubc-runner: {limit}");
    }
    let refusals = node.subscribe(Some(asked.id)).ok();
    container.start()?;
    let status = wait(init)?;
    while let Some(refusal) = refusals.as_ref().and_then(Subscription::next) {
        eprintln!("{refusal}");
    }
    // Its init has ended, and so has it, perhaps, by itself.
    beancounters.detach()?;
    let code = status.exit_status().or(status.terminating_signal().map(|signal| 128 + signal));
    Ok(ExitCode::from(u8::try_from(code.unwrap_or(70))?))
}

/// Init is a child of this process: it has to be waited for.
fn wait(init: i32) -> Result<WaitStatus> {
    let init = Pid::from_raw(init).ok_or("no process id")?;
    loop {
        match waitpid(Some(init), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
