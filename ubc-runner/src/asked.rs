//! What the command line asks for.

use std::path::PathBuf;

use ubc_node::Wanted;
use ubc_node::ubc_core::{ContainerId, PageSize, Resource};
use ubc_node::ubc_procfs::text::value::parse_limits;

use crate::Result;

const USAGE: &str = "usage: ubc-runner --id ID --rootfs DIRECTORY [RESOURCE=BARRIER:LIMIT]... -- \
                     PROGRAM [ARGUMENT]...";

pub(crate) struct Asked {
    pub(crate) id: ContainerId,
    pub(crate) rootfs: PathBuf,
    pub(crate) limits: Wanted,
    pub(crate) command: Vec<String>,
}

impl Asked {
    pub(crate) fn from(mut words: impl Iterator<Item = String>) -> Result<Asked> {
        let (mut id, mut rootfs, mut limits) = (None, None, Wanted::default());
        let page = PageSize::new(rustix::param::page_size() as u64)?;
        while let Some(word) = words.next() {
            match (&*word, word.split_once('=')) {
                ("--", _) => {
                    let command: Vec<String> = words.collect();
                    let (Some(id), Some(rootfs), false) = (id, rootfs, command.is_empty()) else {
                        return Err(USAGE.into());
                    };
                    return Ok(Asked { id, rootfs, limits, command });
                }
                ("--id", _) => id = Some(words.next().unwrap_or_default().parse()?),
                ("--rootfs", _) => rootfs = words.next().map(PathBuf::from),
                (_, Some((name, value))) => {
                    let resource =
                        Resource::from_name(name).ok_or_else(|| format!("{name}: no such row"))?;
                    limits[resource] = Some(parse_limits(value, resource.unit(), page)?.limits);
                }
                _ => return Err(USAGE.into()),
            }
        }
        Err(USAGE.into())
    }
}
