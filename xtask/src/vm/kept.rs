//! The machine that `--keep` leaves running, one per guest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::run::Result;

use super::cache;
use super::guest::Guest;
use super::image::{self, Image};
use super::machine::Machine;
use super::qemu::{Life, Pace, Qemu};
use super::say;
use super::ssh::Ssh;

/// The kept machine, started if there is none.
pub(super) fn attach_or_start(guest: Guest) -> Result<Machine> {
    let image = image::ensure(guest)?;
    if let Some(machine) = attach(guest, &image)? {
        return Ok(machine);
    }
    let machine = Machine::start(&image, Pace::Fast, Life::Kept)?;
    let (pid, port, dir) = machine.address();
    let note = json!({ "pid": pid, "port": port, "dir": dir, "image": image.dir() });
    let path = note_path(guest)?;
    fs::write(&path, note.to_string()).map_err(|error| format!("{}: {error}", path.display()))?;
    say(&format!("{guest} stays up; `cargo xtask vm down --guest {guest}` stops it"));
    Ok(machine)
}

/// Stops the kept machine, if there is one.
pub(super) fn stop(guest: Guest) -> Result<()> {
    let path = note_path(guest)?;
    match read(guest)? {
        Some((machine, _)) => {
            machine.stop();
            say(&format!("{guest} is stopped"));
        }
        None => say(&format!("no {guest} was kept")),
    }
    // Absent if there was none.
    let _ = fs::remove_file(path);
    Ok(())
}

/// The kept machine if it answers and is of the present image.
fn attach(guest: Guest, image: &Image) -> Result<Option<Machine>> {
    let Some((machine, built_from)) = read(guest)? else { return Ok(None) };
    let is_current = built_from == image.dir();
    let answers = || machine.run(&["true"], Duration::from_secs(20)).is_ok();
    if is_current && answers() {
        return Ok(Some(machine));
    }
    say(&format!("the kept {guest} is dead or of another recipe; starting a new one"));
    machine.stop();
    Ok(None)
}

fn read(guest: Guest) -> Result<Option<(Machine, PathBuf)>> {
    let Ok(text) = fs::read_to_string(note_path(guest)?) else { return Ok(None) };
    let Some((pid, port, dir, image)) = parse(&text) else { return Ok(None) };
    if !dir.join("qmp").exists() {
        return Ok(None);
    }
    let ssh = Ssh::new(port, image.join("key"), &dir);
    let machine = Machine::attach(guest, Qemu::attach(pid, &dir), ssh, dir);
    Ok(Some((machine, image)))
}

fn parse(text: &str) -> Option<(u32, u16, PathBuf, PathBuf)> {
    let note: Value = serde_json::from_str(text).ok()?;
    let number = |key: &str| note[key].as_u64();
    let path = |key: &str| note[key].as_str().map(|text| Path::new(text).to_owned());
    let pid = u32::try_from(number("pid")?).ok()?;
    Some((pid, u16::try_from(number("port")?).ok()?, path("dir")?, path("image")?))
}

fn note_path(guest: Guest) -> Result<PathBuf> {
    Ok(cache::dir()?.join(format!("kept-{guest}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_note_means_no_machine() {
        let whole = r#"{"pid":7,"port":4000,"dir":"/d","image":"/i"}"#;
        assert_eq!(parse(whole), Some((7, 4000, "/d".into(), "/i".into())));
        assert_eq!(parse(r#"{"pid":7,"port":70000,"dir":"/d","image":"/i"}"#), None);
        assert_eq!(parse("{}"), None);
        assert_eq!(parse(""), None);
    }
}
