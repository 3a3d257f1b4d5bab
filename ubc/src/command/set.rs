//! `ubc set`: changes a running container, its file, or both.

use std::path::PathBuf;

use clap::ArgMatches;
use log::info;
use ubc_config::{Config, Document, Key, Staged, Tree, read_file};
use ubc_core::{ContainerId, Resource};

use crate::cli::required;
use crate::client::{Client, unexpected};
use crate::config::{instead, of, over, sample, superseded, understood};
use crate::error::{Failure, Kind, Result};
use crate::limits::{Change, page_size};
use crate::paths::RunDir;
use crate::protocol::{Container, Request, Response};

/// Parameters that make a container this one; a sample does not replace them.
const IDENTITY: [&str; 7] =
    ["DESCRIPTION", "HOSTNAME", "IP_ADDRESS", "NAME", "OSTEMPLATE", "VE_PRIVATE", "VE_ROOT"];

/// All of it or none: nothing is applied that cannot be read and written, and
/// nothing is saved that was not applied.
pub(crate) fn set(run: &RunDir, tree: &Tree, matches: &ArgMatches) -> Result<()> {
    crate::needs_root()?;
    let id: ContainerId = required(matches, "CTID");
    if id.is_host() {
        return Err(Failure::usage("container id 0 is the host; accepted: 1 to 99999999"));
    }
    let (save, reset) = (matches.get_flag("save"), matches.get_flag("reset_ub"));
    let applied = matches.get_one::<String>("applyconfig");
    if !matches.contains_id("changes") && applied.is_none() && !reset {
        return Err(Failure::usage("nothing to set; accepted: options such as --numproc 60"));
    }
    let applied = match applied {
        Some(name) => Some((name, sample(tree, name)?)),
        None => None,
    };
    let lock = save.then(|| tree.lock()).transpose()?;
    let change = Change::from(matches, || match &applied {
        Some((_, (_, config))) => Ok(config.clone()),
        None => known(tree, id, find(run, id)?.1.as_ref()),
    })?;
    let (client, running) = find(run, id)?;
    if running.is_none() && !save {
        let why = if client.is_some() { "" } else { ": no daemon runs" };
        return Err(Failure::new(Kind::NoContainer, format!("there is no container {id}{why}")));
    }

    let staged = lock.map(|lock| {
        let path = tree.container(id);
        let mut document = read_file(&path)?.unwrap_or_default();
        if let Some((name, (sample, config))) = &applied {
            apply(&mut document, name, sample, config)?;
        }
        save_in(&mut document, &change)?;
        // What else is in the file is as it was, and must be good too.
        understood(&document, &path.display().to_string())?;
        let staged = Staged::new(&lock, &path, &document)?;
        // The lock is kept until the file is in its place.
        Ok::<_, Failure>((lock, path, staged))
    });
    let staged = staged.transpose()?;

    let mut done = "";
    if let (Some(mut client), Some(running)) = (client, running) {
        let strict = matches.get_flag("strict");
        let whole = reset || applied.is_some();
        let base = match applied {
            Some((_, (_, config))) => config,
            None if reset => configured(tree, id)?,
            None => Config::default(),
        };
        let mut limits = change.over(base.clone());
        if whole {
            limits = instead(limits, &running.configured);
        }
        let schedule = if reset {
            Box::default()
        } else {
            Box::new(over(change.config, base, change.sized).schedule.into())
        };
        let limits = Box::new(limits);
        let response = client.ask(&Request::Set { id, limits, schedule, strict })?;
        let Response::Set { unenforced } = response else { return Err(unexpected(&response)) };
        crate::run::warn_of(&unenforced);
        done = "set, but not saved: ";
    }
    if let Some((_lock, path, staged)) = staged {
        staged
            .commit()
            .map_err(Failure::from)
            .map_err(|failure| Failure::new(failure.kind, format!("{done}{failure}")))?;
        info!("saved to {}", path.display());
    }
    Ok(())
}

/// The daemon and the container, if they run.
fn find(run: &RunDir, id: ContainerId) -> Result<(Option<Client>, Option<Container>)> {
    let Some(mut client) = Client::connect(run)? else { return Ok((None, None)) };
    let running = match client.ask(&Request::Show { id }) {
        Ok(Response::Container { container }) => Some(*container),
        Ok(response) => return Err(unexpected(&response)),
        Err(failure) if failure.kind == Kind::NoContainer => None,
        Err(failure) => return Err(failure),
    };
    Ok((Some(client), running))
}

/// The RAM and swap a container has, for a command line that gives one of them:
/// by its file, or else by what was set.
fn known(tree: &Tree, id: ContainerId, running: Option<&Container>) -> Result<Config> {
    let file = of(tree, id)?;
    if file.vswap().is_some() {
        return Ok(file);
    }
    let limits = running.map(|running| running.configured).unwrap_or_default();
    Ok(Config { limits, ..Config::default() })
}

/// What a container's file says, which must be there.
fn configured(tree: &Tree, id: ContainerId) -> Result<Config> {
    let path: PathBuf = tree.container(id);
    if !path.exists() {
        let message = format!("there is no configuration {}; --save makes one", path.display());
        return Err(Failure::new(Kind::Config, message));
    }
    of(tree, id)
}

/// Puts a sample into a file: all its parameters but those that say which
/// container it is, and no limits but its own.
fn apply(document: &mut Document, name: &str, sample: &Document, config: &Config) -> Result<()> {
    for row in Resource::ALL {
        document.forget(Key::Row(row));
    }
    document.forget(Key::VmOvercommit);
    document.update(config, page_size()?);
    for (other, value) in sample.parameters() {
        if Key::from_name(other).is_none() && !IDENTITY.contains(&other) {
            document.set(other, value);
        }
    }
    document.set("ORIGIN_SAMPLE", name.strip_prefix("ve-").unwrap_or(name).as_bytes());
    Ok(())
}

/// Puts what the command line says into a file.
fn save_in(document: &mut Document, change: &Change) -> Result<()> {
    if change.sized {
        for row in superseded(&change.config) {
            document.forget(Key::Row(row));
        }
    }
    document.update(&change.config, page_size()?);
    Ok(())
}
