//! A booted, idle machine on disk: its RAM, and the layer of disk that goes with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{Result, check};

use super::image::Image;
use super::machine::Machine;
use super::qemu::{self, Disk, Life};
use super::{cache, recipe, say};

/// Raise it when the machine is saved in another way.
const FORMAT: u32 = 1;

/// The snapshot of an image for this QEMU, made now if there is none.
pub(super) fn ensure(image: &Image) -> Result<PathBuf> {
    let text = format!("{FORMAT} {} {}", image.qemu(), qemu::signature());
    let dir = image.part(&format!("saved-{}", recipe::key(&text)));
    if !dir.is_dir() {
        let _lock = cache::lock(image.guest().suite())?;
        if !dir.is_dir() {
            cache::prune(image.dir(), "saved-")?;
            make(image, &dir)?;
        }
    }
    cache::touch(&dir);
    Ok(dir)
}

/// Forgets one that does not work.
pub(super) fn discard(dir: &Path) {
    // It is gone, or the next attempt says why not.
    let _ = fs::remove_dir_all(dir);
}

fn make(image: &Image, dir: &Path) -> Result<()> {
    let begin = Instant::now();
    say(&format!("{}: booting, to save the booted machine", image.guest()));
    let part = dir.with_extension("part");
    let failed = |error| format!("{}: {error}", part.display());
    fs::create_dir_all(&part).map_err(failed)?;
    let mut create = Command::new("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b", "../root.img", "disk"]);
    check(create.current_dir(&part))?;

    let machine = Machine::launch(image, Disk::Layer(&part), Life::Owned)?;
    let settled = settle(&machine)?;
    say(&format!("{}: {settled} after {} s, saving it", image.guest(), begin.elapsed().as_secs()));
    machine.save(&part.join("ram"))?;
    fs::rename(&part, dir).map_err(failed)?;
    say(&format!("{}: saved after {} s", image.guest(), begin.elapsed().as_secs()));
    Ok(())
}

/// Waits for the boot to end; an image of which a unit fails is a broken image.
fn settle(machine: &Machine) -> Result<String> {
    let limit = Duration::from_mins(5);
    let outcome = machine.run(&["systemctl", "is-system-running", "--wait"], limit)?;
    let state = outcome.stdout.trim().to_owned();
    if state != "running" {
        let failed = machine.run(&["systemctl", "--no-pager", "list-units", "--failed"], limit)?;
        return Err(format!("the guest is {state}:\n{}", failed.stdout));
    }
    // What is only cached need not be saved.
    machine.run(&["sh", "-c", "sync; echo 3 > /proc/sys/vm/drop_caches"], limit)?;
    Ok(state)
}
