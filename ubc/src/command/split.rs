//! `ubc split`: a sample for N equal containers, as vzsplit makes it.

use clap::ArgMatches;
use ubc_config::{Config, Document, Tree};
use ubc_core::memory::Memory;
use ubc_core::split::{Host, split as divide};
use ubc_core::{Limits, PerResource, Resource};

use crate::cli::required;
use crate::error::{Failure, Kind, Result};
use crate::limits::page_size;
use crate::report;

/// What a level of shortage means to whoever sets limits.
const SHORTAGE: [&str; 4] = [
    "plenty: any limit may be raised",
    "normal: secondary limits may be raised",
    "some shortage: only auxiliary limits may be raised",
    "shortage: no limit should be raised",
];

/// Prints the sample, or keeps it under a name.
pub(crate) fn split(tree: &Tree, matches: &ArgMatches) -> Result<()> {
    let number: u64 = required(matches, "number");
    let page = page_size()?;
    let memory = super::mem::memory(matches, page)?;
    let host = Host { memory, threads: super::mem::threads(matches), page };
    let one =
        divide(&host, number).map_err(|error| Failure::usage(format!("{number}: {error}")))?;
    let config = if matches.get_flag("vswap") {
        vswap(&one.limits)
    } else {
        Config { limits: one.limits, avnumproc: Some(one.avnumproc), ..Config::default() }
    };
    if matches.get_flag("json") {
        return crate::print(|out| report::json(out, &config.limits));
    }
    let Memory { ram, swap, low } = memory;
    let mut document = Document::default();
    document.comment(&format!("# One of {number} equal containers, by ubc split"));
    document.comment(&format!(
        "# RAM {} MiB, swap {} MiB, low memory {} MiB, threads {}",
        ram >> 20,
        swap >> 20,
        low >> 20,
        host.threads
    ));
    document.comment(&format!("# Shortage level {}: {}", one.shortage, level(one.shortage)));
    document.update(&config, page);
    let Some(name) = matches.get_one::<String>("name") else {
        return crate::print(|out| out.write_all(&document.to_bytes()));
    };
    let wrong =
        name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if wrong {
        let message = format!("--name {name}: accepted: letters, digits and - _ .");
        return Err(Failure::usage(message));
    }
    let lock = tree.lock()?;
    let path = tree.containers().join(format!("ve-{name}.conf-sample"));
    if path.exists() {
        return Err(Failure::new(Kind::InUse, format!("{} is there already", path.display())));
    }
    ubc_config::Staged::new(&lock, &path, &document)?.commit()?;
    log::info!("saved to {}", path.display());
    Ok(())
}

fn level(shortage: u8) -> &'static str {
    SHORTAGE[usize::from(shortage).min(SHORTAGE.len() - 1)]
}

/// The same as RAM and swap: what may be allocated, and twice that.
fn vswap(limits: &PerResource<Option<Limits>>) -> Config {
    let space = limits[Resource::PrivvmPages].map_or(0, |pair| pair.barrier);
    let mut config = Config::default();
    let size = |limit| Some(Limits { barrier: 0, limit });
    config.limits[Resource::PhysPages] = size(space);
    config.limits[Resource::SwapPages] = size(space.saturating_mul(2).min(ubc_core::UNLIMITED));
    config
}
