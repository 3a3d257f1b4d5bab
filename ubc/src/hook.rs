//! `ubc hook`: what container runtimes call, and `ubc view`: the same by hand.

mod lxc;
mod state;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use ubc_config::{Switch, Tree};
use ubc_core::ContainerId;
use ubc_procfs::text::meminfo::MemorySize;

use crate::cli::required;
use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::oci::{Annotations, Ceiling, Resolved};
use crate::paths::RunDir;
use crate::protocol::{Adopt, Request, Response, Saved, Wanted};
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
    let annotations = state.annotations()?;
    let asked = Asked { annotations, ceiling, ..Asked::by(matches) };
    adopt(run, tree, state.adopt(&root)?, &asked).map(drop)
}

/// `ubc view`.
pub(crate) fn view(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    if let Some(pid) = matches.get_one::<u32>("attach") {
        let id = adopt(
            run,
            tree,
            Adopt {
                id: matches.get_one::<ContainerId>("id").copied(),
                name: matches.get_one::<String>("name").cloned(),
                pid: *pid,
                root: PathBuf::from("/"),
                proc_path: required(matches, "proc"),
                limits: Box::default(),
                strict: false,
                meminfo: None,
                counts: None,
            },
            &Asked::by(matches),
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

/// What is asked for of a container, besides its file.
#[derive(Default)]
pub(crate) struct Asked {
    /// What the container's own texts say.
    annotations: Annotations,
    ceiling: Ceiling,
    /// What the command line says of a meminfo, if anything.
    meminfo: Option<Switch<MemorySize>>,
    /// What it had in another life.
    saved: Option<Saved>,
}

impl Asked {
    /// By a command line.
    fn by(matches: &ArgMatches) -> Asked {
        let given = crate::cli::meminfo_given(matches);
        Asked { meminfo: given.then(|| crate::cli::meminfo(matches).into()), ..Asked::default() }
    }

    /// Of a container that is made again.
    pub(crate) fn restored(
        annotations: Annotations,
        ceiling: Ceiling,
        saved: Option<Saved>,
    ) -> Asked {
        Asked { annotations, ceiling, saved, meminfo: None }
    }

    /// What the container of this id is to have.
    fn resolve(&self, tree: &Tree, id: ContainerId) -> Result<Resolved> {
        let mut resolved = self.annotations.resolve(tree, Some(id), &self.ceiling)?;
        if let Some(Saved { limits, schedule, .. }) = &self.saved {
            for (row, saved) in limits.iter() {
                resolved.limits[row] = saved.or(resolved.limits[row]);
            }
            resolved.schedule.merge(schedule.get().clone());
        }
        Ok(resolved)
    }
}

/// Asks the daemon to take over a container that was restored and runs; as [`adopt`].
pub(crate) fn restored(
    run: &RunDir,
    tree: &Tree,
    name: &str,
    pid: u32,
    asked: &Asked,
) -> Result<ContainerId> {
    let id = asked.annotations.ctid();
    adopt(run, tree, plain(id, name.to_owned(), pid, Path::new("/")), asked)
}

/// Asks the daemon to take a container over, and gives it what its annotations
/// and its file say; its id. On an error it is left alone.
fn adopt(run: &RunDir, tree: &Tree, mut adopt: Adopt, asked: &Asked) -> Result<ContainerId> {
    // What is wrong is told before anything is done.
    let known = adopt.id.map(|id| asked.resolve(tree, id)).transpose()?;
    let meminfo = known.as_ref().map_or(asked.annotations.meminfo(), |known| known.meminfo);
    adopt.meminfo = asked.meminfo.or(meminfo).and_then(Switch::on);
    adopt.counts = asked.saved.as_ref().map(|saved| saved.counts.clone());
    let mut client = Client::connect_or_start(run)?;
    let response = client.ask(&Request::Adopt(adopt))?;
    let Response::Adopted { id, unenforced } = response else { return Err(unexpected(&response)) };
    warn_of(&unenforced);
    let wanted = known.map_or_else(|| asked.resolve(tree, id), Ok);
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
        counts: None,
    }
}
