//! Putting one mechanism on duty.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use libbpf_rs::{ObjectBuilder, OpenMapMut, OpenObject, ProgramType};

use crate::diagnostics;
use crate::maps::{SHARED, Sizes};
use crate::mechanism::Mechanism;
use crate::place::{self, Generation, Place};
use crate::types::Types;
use crate::{Error, Result, modules, tree};

/// Loads a mechanism's programs on top of the shared maps, attaches them and
/// pins their links. On an error nothing of it stays.
///
/// They do nothing before their generation is on duty.
pub(crate) fn load(
    mechanism: &Mechanism,
    place: &Place,
    generation: &Generation,
    sizes: &Sizes,
    types: &Types,
) -> Result<()> {
    let part = place.part(generation, mechanism.name);
    place::make(&place.generation(generation))?;
    place.remove(&part)?;
    place::make(&part)?;
    types.check()?;
    let (loaded, said) =
        diagnostics::listen(|| load_into(mechanism, place, &part, generation, sizes, types));
    let complete = loaded.map_err(|error| {
        let reason = diagnostics::reason(&said, &error.to_string());
        Error::Refused { mechanism: mechanism.name, reason }
    });
    // Whoever finds them under their name finds all of them.
    let whole = place.mechanism(generation, mechanism.name);
    let named = complete.and_then(|()| {
        let failed = |source| Error::Io { path: whole.clone(), source };
        std::fs::rename(&part, &whole).map_err(failed)
    });
    if named.is_err()
        && let Err(error) = place.remove(&part)
    {
        log::warn!("{error}");
    }
    named
}

fn load_into(
    mechanism: &Mechanism,
    place: &Place,
    dir: &Path,
    generation: &Generation,
    sizes: &Sizes,
    types: &Types,
) -> libbpf_rs::Result<()> {
    let mut builder = ObjectBuilder::default();
    let mut open = builder.name(mechanism.name)?.open_memory(mechanism.object)?;
    for mut map in open.maps_mut() {
        share(&mut map, place, generation, sizes)?;
    }
    leave_out(&mut open, types);
    let object = open.load()?;
    for program in object.progs_mut() {
        if !program.autoload() {
            continue;
        }
        let mut link = match program.prog_type() {
            // Programs for sockets of all cgroups; each looks whose a socket is.
            ProgramType::SockOps => program.attach_cgroup(tree::root()?.as_raw_fd())?,
            _ => program.attach()?,
        };
        link.pin(dir.join(program.name()))?;
        // Dropping a pinned link leaves it on duty.
    }
    Ok(())
}

/// Whether a mechanism has programs that run at functions of the kernel or
/// change what they return. Kernels that forbid such programs forbid all.
pub(crate) fn uses_trampolines(mechanism: &Mechanism) -> bool {
    let mut builder = ObjectBuilder::default();
    let Ok(open) = builder.open_memory(mechanism.object) else { return true };
    open.progs().any(|program| {
        let section = program.section().to_string_lossy().into_owned();
        let kind = section.trim_start_matches('?').split('/').next().unwrap_or_default();
        ["fmod_ret", "fentry", "fexit", "lsm"].contains(&kind)
    })
}

/// Lets an object's map be the pinned one, or become it.
pub(crate) fn share(
    map: &mut OpenMapMut<'_>,
    place: &Place,
    generation: &Generation,
    sizes: &Sizes,
) -> libbpf_rs::Result<()> {
    let name = map.name().to_string_lossy().into_owned();
    if let Some(shared) = SHARED.iter().find(|shared| **shared == name) {
        let path = place.map(shared);
        if path.exists() {
            return map.reuse_pinned_map(&path);
        }
        if let Some(size) = sizes.of(shared) {
            map.set_max_entries(size)?;
        }
        return map.set_pin_path(&path);
    }
    if name.ends_with(".rodata.ubc")
        && let Some(value) = map.initial_value_mut()
        && let Some(head) = value.first_chunk_mut::<4>()
    {
        *head = generation.number.to_ne_bytes();
    }
    Ok(())
}

/// Takes the optional programs whose function the kernel has.
fn leave_out(open: &mut OpenObject, types: &Types) {
    let mut symbols = None;
    for mut program in open.progs_mut() {
        // libbpf takes the `?` off the name of a section and leaves its program out.
        if program.autoload() {
            continue;
        }
        let section = program.section().to_string_lossy().into_owned();
        let name = section.rsplit('/').next().unwrap_or_default();
        if section.starts_with("iter/") {
            program.set_autoload(types.has_function(&format!("bpf_iter_{name}")));
            continue;
        }
        let function = name;
        let known = types.has_function(function)
            || modules::have(symbols.get_or_insert_with(modules::symbols), function);
        program.set_autoload(known);
    }
}
