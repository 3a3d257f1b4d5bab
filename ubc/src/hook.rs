//! `ubc hook`: what container runtimes call, and `ubc view`: the same by hand.

mod lxc;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use ubc_config::Tree;
use ubc_core::ContainerId;

use crate::cli::required;
use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::oci::{Annotations, Ceiling, Resolved};
use crate::paths::RunDir;
use crate::protocol::{Adopt, Request, Response, Wanted};
use crate::run::warn_of;

pub(crate) use state::State;

/// Runs as the hook of a runtime.
pub(crate) fn hook(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<ExitCode> {
    let done = if matches.get_flag("lxc") {
        lxc::hook(run, tree, matches)
    } else {
        oci(run, tree, matches)
    };
    match done {
        Err(failure) if required::<String>(matches, "on-error") == "warn" => {
            anstream::eprintln!("ubc: {failure}");
            Ok(ExitCode::SUCCESS)
        }
        done => done.map(|()| ExitCode::SUCCESS),
    }
}

/// The hook of an OCI runtime, with the container's state on standard input.
fn oci(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    let phases: Vec<&String> = matches.get_many("phase").unwrap_or_default().collect();
    let phase = match phases[..] {
        [] => None,
        [phase] if ["createRuntime", "prestart", "poststop"].contains(&phase.as_str()) => {
            Some(phase.as_str())
        }
        _ => {
            let message = "no such hook; accepted: one of createRuntime, prestart, poststop";
            return Err(Failure::usage(message));
        }
    };
    crate::needs_root()?;
    let state = State::read(std::io::stdin().lock())?;
    if phase == Some("poststop") || (phase.is_none() && state.has_stopped()) {
        let Some(mut client) = Client::connect(run)? else { return Ok(()) };
        return client.ask(&Request::Stopped { name: state.name() }).map(drop);
    }
    let (root, ceiling) = state.bundle()?;
    let asked = Asked { annotations: state.annotations()?, ceiling };
    adopt(run, tree, matches, state.adopt(&root)?, &asked).map(drop)
}

/// `ubc view`.
pub(crate) fn view(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    if let Some(pid) = matches.get_one::<u32>("attach") {
        let id = adopt(
            run,
            tree,
            matches,
            Adopt {
                id: matches.get_one::<ContainerId>("id").copied(),
                name: matches.get_one::<String>("name").cloned(),
                pid: *pid,
                root: PathBuf::from("/"),
                proc_path: required(matches, "proc"),
                limits: Box::default(),
                strict: false,
                meminfo: None,
            },
            &Asked::default(),
        )?;
        return crate::print(|out| writeln!(out, "{id}"));
    }
    detach(run, required(matches, "detach"))
}

/// Forgets a container by its id, or else by its init's pid.
fn detach(run: &RunDir, number: u32) -> Result<()> {
    let nothing = || {
        let message = format!("there is no container with the id or the init {number}");
        Failure::new(Kind::NoContainer, message)
    };
    let mut client = Client::connect(run)?.ok_or_else(nothing)?;
    let containers = match client.ask(&Request::List)? {
        Response::Containers { containers } => containers,
        response => return Err(unexpected(&response)),
    };
    let found = containers.iter().find(|container| container.id.get() == number);
    let found = found.or_else(|| containers.iter().find(|one| one.pid == Some(number)));
    client.ask(&Request::Release { id: found.ok_or_else(nothing)?.id }).map(drop)
}

/// What a container's own texts ask for, besides its file.
#[derive(Default)]
struct Asked {
    annotations: Annotations,
    ceiling: Ceiling,
}

/// Asks the daemon to take a container over, and gives it what its annotations
/// and its file say; its id. On an error it is left alone.
fn adopt(
    run: &RunDir,
    tree: &Tree,
    matches: &ArgMatches,
    mut adopt: Adopt,
    asked: &Asked,
) -> Result<ContainerId> {
    let resolve = |id| asked.annotations.resolve(tree, id, &asked.ceiling);
    adopt.meminfo = crate::cli::meminfo(matches);
    // What is wrong is told before anything is done.
    let known = adopt.id.map(|id| resolve(Some(id))).transpose()?;
    let meminfo = known.as_ref().map_or(asked.annotations.meminfo(), |known| known.meminfo);
    if let Some(size) = meminfo
        && !crate::cli::meminfo_given(matches)
    {
        adopt.meminfo = size.on();
    }
    let mut client = Client::connect_or_start(run)?;
    let response = client.ask(&Request::Adopt(adopt))?;
    let Response::Adopted { id, unenforced } = response else { return Err(unexpected(&response)) };
    warn_of(&unenforced);
    let wanted = known.map_or_else(|| resolve(Some(id)), Ok);
    wanted.and_then(|wanted| configure(&mut client, id, wanted)).or_else(|failure| {
        client.ask(&Request::Release { id })?;
        Err(failure)
    })?;
    Ok(id)
}

/// Gives a container what it is to have.
fn configure(client: &mut Client, id: ContainerId, wanted: Resolved) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    let Resolved { limits, schedule, .. } = wanted;
    let (limits, schedule) = (Box::new(limits), Box::new(schedule.into()));
    match client.ask(&Request::Set { id, limits, schedule, strict: false })? {
        Response::Set { unenforced } => {
            warn_of(&unenforced);
            Ok(())
        }
        response => Err(unexpected(&response)),
    }
}

/// Without limits and a meminfo of ours, with the procfs where every container has it.
fn plain(id: Option<ContainerId>, name: String, pid: u32, root: &Path) -> Adopt {
    Adopt {
        id,
        name: Some(name),
        pid,
        root: root.to_owned(),
        proc_path: PathBuf::from("/proc"),
        limits: Box::<Wanted>::default(),
        strict: false,
        meminfo: None,
    }
}
