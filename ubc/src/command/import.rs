//! `ubc import-vz`: the configurations of an OpenVZ host.

use std::io::Write;
use std::path::PathBuf;

use clap::ArgMatches;
use serde::Serialize;
use ubc_config::{Config, Document, Key, Read, Staged, Tree};
use ubc_core::ContainerId;

use crate::cli::required;
use crate::error::{Failure, Kind, Result};
use crate::limits::page_size;
use crate::report::{self, Style, Table};

/// What comes of one container.
#[derive(Serialize)]
struct Imported {
    id: ContainerId,
    /// Parameters that mean something here.
    taken: Vec<String>,
    /// Parameters that are kept in the file and do nothing here.
    kept: Vec<String>,
}

/// Takes over every container's file of a directory, or none.
pub(crate) fn import(tree: &Tree, matches: &ArgMatches) -> Result<()> {
    let dir: PathBuf = required(matches, "DIR");
    let from = Tree::new(&dir);
    if from.containers().canonicalize().ok() == tree.containers().canonicalize().ok()
        && from.containers().exists()
    {
        let message = format!("{} is where configurations are read from already", dir.display());
        return Err(Failure::usage(message));
    }
    let page = page_size()?;
    let defaults = from.defaults(page)?;
    let (ids, others) = from.ids()?;
    for name in others {
        log::warn!(
            "{}: left out: not a container id of 1 to 99999999",
            from.containers().join(name).display()
        );
    }
    if ids.is_empty() {
        let message = format!("no CTID.conf in {}", from.containers().display());
        return Err(Failure::new(Kind::Config, message));
    }
    // All are read before one is written.
    let mut read: Vec<(ContainerId, Document)> = Vec::new();
    let mut imported = Vec::new();
    for id in ids {
        let Some(mut document) = from.document(id)? else { continue };
        let Read { config, notices } = from.config(id, page)?;
        crate::config::tell(&from.container(id), &notices);
        // Each file stands for itself: the global file of that host is not ours.
        let mut missing = defaults.clone();
        let own = Config::read(&document, page).map(|read| read.config).unwrap_or_default();
        missing = own.or(missing);
        document.update(&missing, page);
        imported.push(told(id, &config, &document));
        read.push((id, document));
    }
    if !matches.get_flag("dry-run") {
        write(tree, &read, matches.get_flag("force"))?;
    }
    crate::print(|out| {
        if matches.get_flag("json") { report::json(out, &imported) } else { text(out, &imported) }
    })
}

fn write(tree: &Tree, read: &[(ContainerId, Document)], force: bool) -> Result<()> {
    let lock = tree.lock()?;
    let mut staged = Vec::new();
    for (id, document) in read {
        let path = tree.container(*id);
        if path.exists() && !force {
            let message = format!("{} is there already; --force replaces it", path.display());
            return Err(Failure::new(Kind::InUse, message));
        }
        staged.push(Staged::new(&lock, &path, document)?);
    }
    // On disk by now; what is left is to rename.
    for staged in staged {
        staged.commit()?;
    }
    Ok(())
}

fn told(id: ContainerId, config: &Config, document: &Document) -> Imported {
    let mut kept: Vec<String> = document
        .parameters()
        .filter(|(name, _)| Key::from_name(name).is_none())
        .map(|(name, _)| name.to_owned())
        .collect();
    kept.sort();
    kept.dedup();
    let taken = config.keys().map(|key| key.to_string()).collect();
    Imported { id, taken, kept }
}

fn text(out: &mut dyn Write, imported: &[Imported]) -> std::io::Result<()> {
    let mut table = Table::new(["ctid", "taken", "kept without effect"]);
    for one in imported {
        let kept = if one.kept.is_empty() { "-".to_owned() } else { one.kept.join(" ") };
        table.row(Style::Plain, [one.id.to_string(), one.taken.len().to_string(), kept]);
    }
    table.print(out)
}
