//! `ubc`: user beancounters for containers, on the command line.
//!
//! This is the command, made a library so that its protocol can be fuzzed. It
//! is no interface for other programs: those use ubc-core, ubc-cgroup and
//! ubc-procfs.
#![forbid(unsafe_code)]

mod cli;
mod client;
mod command;
mod config;
mod daemon;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod history;
mod hook;
mod host;
mod limits;
mod logging;
mod manager;
#[doc(hidden)]
pub mod measuring;
mod oci;
mod paths;
#[cfg(test)]
mod pictures;
mod protocol;
mod report;
mod run;
mod runtime;
mod schedule;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ArgMatches;
use ubc_core::{ContainerId, Resource};

use client::{Client, unexpected};
use error::{Failure, Kind, Result};
use paths::RunDir;
use protocol::{Request, Response};

/// What the command `ubc` does, with the arguments of this process.
#[doc(hidden)]
pub fn main() -> ExitCode {
    if let Some(asked) = runtime::Asked::by_name(std::env::args_os()) {
        logging::start(false);
        return ended(runtime::runtime(&asked));
    }
    let matches = match cli::command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    logging::start(matches.subcommand_name().is_some_and(is_service));
    ended(dispatch(&matches))
}

/// Whether this command is a service's, and not a person's or a runtime's.
fn is_service(command: &str) -> bool {
    matches!(command, "daemon" | "export" | "record")
}

fn ended(result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(failure) => {
            anstream::eprintln!("ubc: {failure}");
            failure.exit_code()
        }
    }
}

/// What clap has to say: help on standard output, or in one line why not.
fn refuse(error: &clap::Error) -> ExitCode {
    let help = error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if help || !error.use_stderr() {
        // Nobody is left to tell when even this fails.
        drop(error.print());
        return if help { Kind::Usage.code().into() } else { ExitCode::SUCCESS };
    }
    let failure = Failure::usage(cli::one_line(&error.render().to_string()));
    anstream::eprintln!("ubc: {failure}");
    failure.exit_code()
}

fn dispatch(matches: &ArgMatches) -> Result<ExitCode> {
    let run: PathBuf = cli::required(matches, "run-dir");
    let run = RunDir::new(&run)
        .map_err(|error| Failure::usage(format!("--run-dir {}: {error}", run.display())))?;
    let tree = config::tree(matches);
    let done = |result: Result<()>| result.map(|()| ExitCode::SUCCESS);
    match matches.subcommand() {
        Some(("run", matches)) => {
            let id = cli::required(matches, "id");
            let base = match matches.get_one::<String>("config") {
                Some(name) => config::sample(&tree, name)?.1,
                None => config::of(&tree, id)?,
            };
            let change = limits::Change::from(matches, || Ok(base.clone()))?;
            let meminfo = match base.meminfo {
                Some(size) if !cli::meminfo_given(matches) => size.on(),
                _ => cli::meminfo(matches),
            };
            let options = run::Options {
                id,
                limits: change.over(base.clone()),
                schedule: config::over(change.config, base, change.sized).schedule,
                strict: matches.get_flag("strict"),
                cgroup: matches.get_one::<String>("cgroup").cloned(),
                rootfs: matches.get_one::<PathBuf>("rootfs").cloned(),
                meminfo,
                runtime: matches.get_one::<PathBuf>("runtime").cloned(),
                command: matches
                    .get_many::<String>("command")
                    .map(|words| words.cloned().collect())
                    .unwrap_or_default(),
            };
            needs_root()?;
            run::run(&run, &options)
        }
        Some(("show", matches)) => done(show(&run, matches)),
        Some(("list", matches)) => done(command::list::list(&run, &tree, matches)),
        Some(("set", matches)) => done(command::set::set(&run, &tree, matches)),
        Some(("check", matches)) => done(command::check::check(&tree, matches)),
        Some(("mem", matches)) => done(command::mem::mem(&run, &tree, matches)),
        Some(("split", matches)) => done(command::split::split(&tree, matches)),
        Some(("import-vz", matches)) => done(command::import::import(&tree, matches)),
        Some(("top", matches)) => done(command::top::top(&run, matches)),
        Some(("record", matches)) => done(command::record::record(&run, matches)),
        Some(("replay", matches)) => done(command::replay::replay(&run, matches)),
        Some(("export", matches)) => done(command::export::export(&run, matches)),
        Some(("completions", matches)) => done(command::pages::completions(matches)),
        Some(("man", matches)) => done(command::pages::man(matches)),
        Some(("watch", matches)) => done(command::watch::watch(&run, matches)),
        Some(("bench", matches)) => {
            needs_root()?;
            done(command::bench::bench(matches))
        }
        Some(("unload", _)) => {
            needs_root()?;
            done(daemon::unload(&run))
        }
        Some(("view", matches)) => done(hook::view(&run, &tree, matches)),
        Some(("runtime", words)) => runtime::runtime(&runtime::asked(matches, words)),
        Some(("hook", matches)) => hook::hook(&run, &tree, matches),
        Some(("doctor", matches)) => {
            needs_root()?;
            done(report::doctor(matches.get_flag("json")))
        }
        Some(("parameters", matches)) => {
            let format: String = cli::required(matches, "format");
            let markdown = format == "markdown";
            done(match matches.get_one::<Resource>("NAME") {
                Some(resource) => report::parameter(*resource, markdown),
                None => report::parameters(markdown),
            })
        }
        Some(("daemon", matches)) => {
            needs_root()?;
            done(daemon::daemon(&run, matches.get_flag("exit-idle")))
        }
        Some((run::runtime::INNER, matches)) => {
            let words = matches.get_many::<OsString>("command").unwrap_or_default();
            let words: Vec<OsString> = words.cloned().collect();
            Err(run::runtime::exec_with_cgroup2(&words))
        }
        _ => Err(Failure::usage("no such command")),
    }
}

fn needs_root() -> Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(Kind::NoPermission, "needs root: it makes cgroups and mounts"))
}

fn show(run: &RunDir, matches: &ArgMatches) -> Result<()> {
    let id: ContainerId = cli::required(matches, "CTID");
    let response = existing(run, id)?.ask(&Request::Show { id })?;
    let Response::Container { container } = response else { return Err(unexpected(&response)) };
    print(|out| {
        if matches.get_flag("json") {
            report::json(out, &container)
        } else {
            report::container(out, &container)
        }
    })
}

/// A connection for a question about a container that must be there.
fn existing(run: &RunDir, id: ContainerId) -> Result<Client> {
    needs_root()?;
    Client::connect(run)?.ok_or_else(|| {
        Failure::new(Kind::NoContainer, format!("there is no container {id}: no daemon runs"))
    })
}

/// Prints to standard output; a reader that went away is no failure.
fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::system(format!("cannot write: {error}")))
        }
        _ => Ok(()),
    }
}
