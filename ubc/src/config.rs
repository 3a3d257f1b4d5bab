//! Configuration files as the commands use them.

use std::path::PathBuf;

use clap::ArgMatches;
use log::warn;
use ubc_config::{Config, Document, Error, Notice, Read, Tree};
use ubc_core::{ContainerId, Resource, UNLIMITED};

use crate::error::{Failure, Kind, Result};
use crate::limits::page_size;
use crate::protocol::Wanted;

/// The rows that follow from RAM and swap.
const IMPLIED: [Resource; 4] =
    [Resource::LockedPages, Resource::OomGuarPages, Resource::VmGuarPages, Resource::PrivvmPages];

/// The directory the command line says.
pub(crate) fn tree(matches: &ArgMatches) -> Tree {
    Tree::new(crate::cli::required::<PathBuf>(matches, "config-dir"))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let kind = match &error {
            Error::Malformed { .. } => Kind::Config,
            Error::NoSample { .. } => Kind::Usage,
            Error::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                Kind::NoPermission
            }
            _ => Kind::System,
        };
        Failure::new(kind, error)
    }
}

/// What the files say of a container; says what is odd about its own.
pub(crate) fn of(tree: &Tree, id: ContainerId) -> Result<Config> {
    let Read { config, notices } = tree.config(id, page_size()?)?;
    tell(&tree.container(id), &notices);
    Ok(config)
}

/// What the global file says.
pub(crate) fn defaults(tree: &Tree) -> Result<Config> {
    Ok(tree.defaults(page_size()?)?)
}

/// What a sample says.
pub(crate) fn sample(tree: &Tree, name: &str) -> Result<(Document, Config)> {
    let document = tree.sample(name)?;
    let config = understood(&document, &format!("sample {name}"))?;
    Ok((document, config))
}

/// What a document says; an error names it so.
pub(crate) fn understood(document: &Document, name: &str) -> Result<Config> {
    let read = Config::read(document, page_size()?)
        .map_err(|error| Failure::new(Kind::Config, format!("{name}, {error}")))?;
    Ok(read.config)
}

/// Says what is odd about a file.
pub(crate) fn tell(path: &std::path::Path, notices: &[Notice]) {
    for notice in notices {
        warn!("{}, {notice}", path.display());
    }
}

/// A change on top of what was configured.
///
/// RAM and swap on the command line (`sized`) replace what is configured for
/// the rows that follow from them.
pub(crate) fn over(change: Config, mut base: Config, sized: bool) -> Config {
    if sized {
        for row in IMPLIED {
            base.limits[row] = None;
        }
    }
    change.or(base)
}

/// The rows that a change of RAM and swap takes out of a file.
pub(crate) fn superseded(change: &Config) -> impl Iterator<Item = Resource> {
    IMPLIED.into_iter().filter(|row| change.limits[*row].is_none())
}

/// The limits a container gets that is to have nothing but these: the rows
/// that somebody set before and that are not among them become unlimited.
pub(crate) fn instead(mut limits: Wanted, before: &Wanted) -> Wanted {
    for (row, old) in before.iter() {
        if old.is_some() && limits[row].is_none() {
            limits[row] = Some(ubc_core::Limits { barrier: UNLIMITED, limit: UNLIMITED });
        }
    }
    limits
}
