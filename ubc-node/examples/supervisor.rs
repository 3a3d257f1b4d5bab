//! A plain supervisor: starts a program in a container of its own, with limits,
//! tells what it was refused, shows its rows when it has ended, and cleans up.
//!
//! ```text
//! supervisor [--id ID] [RESOURCE=BARRIER:LIMIT]... -- PROGRAM [ARGUMENT]...
//! ```
//!
//! No namespaces, no image, no view: resource accounting alone. Its exit code is
//! the program's.

use std::error::Error;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use ubc_node::ubc_core::{ContainerId, PageSize, Resource};
use ubc_node::ubc_procfs::text::value::parse_limits;
use ubc_node::{Container, Create, Description, ErrorKind, Node, Options, Subscription, Wanted};

/// How long to wait for the last refusals.
const LAST: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

struct Asked {
    id: ContainerId,
    limits: Wanted,
    command: Vec<String>,
}

fn main() {
    match supervise() {
        Ok(status) => {
            let signal = status.signal().map(|signal| 128 + signal);
            std::process::exit(status.code().or(signal).unwrap_or(70));
        }
        Err(error) => {
            eprintln!("supervisor: {error}");
            std::process::exit(70);
        }
    }
}

fn supervise() -> Result<ExitStatus, Box<dyn Error>> {
    let asked = asked(std::env::args().skip(1))?;
    let node = Node::open(Options::default())?;
    let (container, kept) = node.create(&Create::new(asked.id).limits(asked.limits))?;
    for limit in kept {
        println!("{limit}");
    }
    // Before anything runs, so that no refusal is missed.
    let refusals = match node.subscribe(Some(asked.id)) {
        Ok(refusals) => Some(refusals),
        Err(error) if error.kind() == ErrorKind::Unavailable => None,
        Err(error) => return Err(error.into()),
    };
    let child = start(&container, &asked.command)?;
    // Who waits for the program need not name it to the node (`attach`), which
    // would end the container with it, and there would be no rows left to show.
    let status = wait(child, refusals.as_ref())?;
    show(&container.describe()?);
    // Whatever the program left running goes too.
    container.end()?;
    Ok(status)
}

fn asked(mut words: impl Iterator<Item = String>) -> Result<Asked, Box<dyn Error>> {
    let (mut id, mut limits) = (ContainerId::new(99)?, Wanted::default());
    let page = PageSize::new(rustix::param::page_size() as u64)?;
    while let Some(word) = words.next() {
        if word == "--" {
            return Ok(Asked { id, limits, command: words.collect() });
        }
        if word == "--id" {
            id = words.next().unwrap_or_default().parse()?;
            continue;
        }
        let (name, value) =
            word.split_once('=').ok_or("usage: RESOURCE=BARRIER:LIMIT -- PROGRAM")?;
        let resource = Resource::from_name(name).ok_or_else(|| format!("{name}: no such row"))?;
        limits[resource] = Some(parse_limits(value, resource.unit(), page)?.limits);
    }
    Err("which program? usage: RESOURCE=BARRIER:LIMIT -- PROGRAM".into())
}

/// Starts the program inside: a shell moves itself there first, so that nothing
/// of the program happens outside and no `unsafe` is needed between fork and exec.
fn start(container: &Container, command: &[String]) -> std::io::Result<Child> {
    let enter = "echo $$ >\"$0/cgroup.procs\" && exec \"$@\"";
    Command::new("sh").args(["-c", enter]).arg(container.path()).args(command).spawn()
}

/// Tells refusals until the program has ended.
fn wait(mut child: Child, refusals: Option<&Subscription>) -> Result<ExitStatus, Box<dyn Error>> {
    let ended = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    loop {
        let mut waiting = vec![PollFd::new(&ended, PollFlags::IN)];
        if let Some(refusals) = refusals {
            waiting.push(PollFd::from_borrowed_fd(refusals.as_fd(), PollFlags::IN));
        }
        poll(&mut waiting, None)?;
        let over = !waiting[0].revents().is_empty();
        tell(refusals);
        if over {
            let status = child.wait()?;
            // The last ones may still be on their way from the kernel's queue.
            if let Some(refusals) = refusals {
                poll(&mut [PollFd::new(refusals, PollFlags::IN)], Some(&LAST))?;
            }
            tell(refusals);
            return Ok(status);
        }
    }
}

fn tell(refusals: Option<&Subscription>) {
    while let Some(refusal) = refusals.and_then(Subscription::next) {
        println!("{refusal}");
    }
}

/// The rows somebody limited, or that anything is known of.
fn show(told: &Description) {
    for (resource, row) in told.reading.rows.iter() {
        if row.maxheld == 0 && row.failcnt == 0 && told.configured[resource].is_none() {
            continue;
        }
        println!(
            "{:12} held {} maxheld {} barrier {} limit {} failcnt {} ({}; {})",
            resource.name(),
            row.held,
            row.maxheld,
            row.barrier,
            row.limit,
            row.failcnt,
            told.status[resource].metered_by,
            told.status[resource].enforced_by,
        );
    }
}
