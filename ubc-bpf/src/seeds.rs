//! Passes over what the kernel has already: of a container that is taken over they
//! record what it holds.
//!
//! A program of a mechanism with `_seed` in its name is run once for each takeover,
//! and one with `_seed_network` once in each network namespace that the container's
//! tasks are in: the kernel shows sockets of one at a time.

use std::io::Read as _;
use std::path::Path;

use libbpf_rs::{Iter, Link};

use crate::mechanism::{MEMBERSHIP, Mechanism};
use crate::networks::{self, Network};
use crate::place::{Generation, Place};
use crate::{Error, Result};

/// The program that shows a task of each network.
const NETWORKS: &str = "ubc_networks";

/// Runs the seeds of mechanisms, in their order.
pub(crate) fn run(
    place: &Place,
    generation: &Generation,
    mechanisms: &[&'static Mechanism],
) -> Result<()> {
    let mut networks = None;
    for mechanism in mechanisms {
        for path in place.programs(generation, mechanism.name)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.contains("_seed_network") {
                if networks.is_none() {
                    networks = Some(all_networks(place, generation)?);
                }
                for network in networks.iter().flatten() {
                    let entered = network.within(|| pass(mechanism, &path));
                    entered
                        .map_err(|error| failed(mechanism, &format!("a network: {error}")))??;
                }
            } else if name.contains("_seed") {
                pass(mechanism, &path)?;
            }
        }
    }
    Ok(())
}

/// One pass of a program; what it wrote.
fn pass(mechanism: &Mechanism, program: &Path) -> Result<Vec<u8>> {
    let failed = |reason: String| failed(mechanism, &reason);
    let link =
        Link::open(program).map_err(|error| failed(format!("{}: {error}", program.display())))?;
    let mut pass = Iter::new(&link).map_err(|error| failed(error.to_string()))?;
    let mut written = Vec::new();
    pass.read_to_end(&mut written).map_err(|error| failed(error.to_string()))?;
    Ok(written)
}

/// The networks of the containers that are being taken over.
fn all_networks(place: &Place, generation: &Generation) -> Result<Vec<Network>> {
    let program = place.mechanism(generation, MEMBERSHIP.name).join(NETWORKS);
    let tasks = || pass(&MEMBERSHIP, &program);
    networks::of_tasks(tasks)
}

fn failed(mechanism: &Mechanism, reason: &str) -> Error {
    Error::Refused { mechanism: mechanism.name, reason: reason.to_owned() }
}
