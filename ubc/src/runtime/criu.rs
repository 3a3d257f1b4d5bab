//! `checkpoint` and `restore`. CRIU takes no container with a file system in it that it does
//! not know, which the view is. So the daemon takes the view away for as long as CRIU works,
//! and what the container counted and was configured to have is kept beside CRIU's images,
//! where it goes wherever they go.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use log::warn;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::settings::Settings;
use super::{Prepared, Real, prepare};
use crate::client::{Client, unexpected};
use crate::error::{Failure, Kind, Result};
use crate::hook;
use crate::paths::RunDir;
use crate::protocol::{Request, Response, Saved};

/// What is kept beside the images.
const FILE: &str = "ubc.json";

/// Longest such file that is read; it has 24 rows.
const LONGEST: u64 = 1 << 20;

/// What every version of it has.
#[derive(serde::Deserialize)]
struct Head {
    version: u32,
}

/// Has the real runtime write the container down, without the view. `None`: there is nothing
/// of ours in it. On an error nothing was done.
pub(super) fn checkpoint(run: &RunDir, real: &Real<'_>) -> Result<Option<ExitCode>> {
    let Some(name) = real.line.name.clone() else { return Ok(None) };
    if crate::needs_root().is_err() {
        return Ok(None);
    }
    let Some(mut client) = Client::connect(run)? else { return Ok(None) };
    let saved = match client.ask(&Request::Uncover { name })? {
        Response::Uncovered { saved } => saved,
        response => return Err(unexpected(&response)),
    };
    let Some(saved) = saved else { return Ok(None) };
    // Should this process end now, the daemon puts the view back.
    let code = to_its_end(Command::new(real.program).args(real.words))?;
    if code == 0 && !real.line.is_part {
        let path = real.line.images.join(FILE);
        if let Err(error) = write(&path, &saved) {
            let path = path.display();
            warn!("cannot write {path}: {error}; restored, the container counts from 0");
        }
    }
    // A container that was written down and left running has its view again.
    if let Err(failure) = client.ask(&Request::Cover) {
        warn!("{failure}");
    }
    Ok(Some(code.into()))
}

/// Has the real runtime make the container again, and gives it its limits, its counts and
/// its view. `None`: it is nobody's container.
pub(super) fn restore(
    asked: &super::Asked,
    settings: &Settings,
    real: &Real<'_>,
) -> Result<Option<ExitCode>> {
    let Some(name) = &real.line.name else { return Ok(None) };
    if !real.line.detaches {
        return Err(Failure::usage(
            "restore: nobody could put the view into a container that its runtime waits for; \
             accepted: restore --detach",
        ));
    }
    let saved = read(&real.line.images.join(FILE))?;
    let Some(prepared) = prepare(asked, real.line, settings)? else { return Ok(None) };
    let Prepared { places, annotations, ceiling } = prepared;
    let code = to_its_end(Command::new(real.program).args(real.words))?;
    if code != 0 {
        return Ok(Some(code.into()));
    }
    let asked = hook::Asked::restored(annotations, ceiling, saved);
    let taken = pid(real, name)
        .and_then(|pid| hook::restored(&places.run, &places.tree, name, pid, &asked));
    match taken {
        Ok(_) => {}
        // It runs, and whoever asked for it so has it without.
        Err(failure) if settings.warn => warn!("{failure}"),
        Err(failure) => {
            // The images are still there.
            if let Err(error) = ask(real, &["delete", "--force"], name) {
                warn!("{error}");
            }
            return Err(failure);
        }
    }
    Ok(Some(ExitCode::SUCCESS))
}

/// The init of a container that runs.
fn pid(real: &Real<'_>, name: &str) -> Result<u32> {
    let told = ask(real, &["state"], name)?;
    let state: serde_json::Value = serde_json::from_slice(&told).unwrap_or_default();
    let pid = state["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
    pid.filter(|pid| *pid > 0).ok_or_else(|| {
        Failure::system(format!("{} tells no pid of {name}", real.program.display()))
    })
}

/// Asks the real runtime something else of the container; what it prints.
fn ask(real: &Real<'_>, verb: &[&str], name: &str) -> Result<Vec<u8>> {
    let program = real.program.display();
    let mut command = Command::new(real.program);
    command.args(real.globals()).args(verb).arg(name).stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|error| Failure::system(format!("cannot run {program}: {error}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::system(format!("{program} {}: {}", verb[0], said.trim())))
}

/// Runs a command as if it had this process's place; its exit code.
fn to_its_end(command: &mut Command) -> Result<u8> {
    let program = Path::new(command.get_program()).display().to_string();
    let failed =
        |error: &dyn std::fmt::Display| Failure::system(format!("cannot run {program}: {error}"));
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).map_err(|error| failed(&error))?;
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(pidfd) => crate::run::forward(signals, pidfd),
        Err(error) => warn!("signals are not passed on to {program}: {error}"),
    }
    let status = child.wait().map_err(|error| failed(&error))?;
    let killed = std::os::unix::process::ExitStatusExt::signal(&status).map(|signal| 128 + signal);
    let code = status.code().or(killed).and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(u8::MAX))
}

/// For root only, as the images are.
fn write(path: &Path, saved: &Saved) -> std::io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(&serde_json::to_vec(saved)?)?;
    // The images are to survive the machine.
    file.sync_all()
}

/// What was kept; `None` of a container that was written down without us.
fn read(path: &Path) -> Result<Option<Saved>> {
    let wrong = |what: &dyn std::fmt::Display| {
        Failure::new(Kind::Config, format!("{}: {what}", path.display()))
    };
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text));
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(&error)),
        Ok(_) if text.len() as u64 > LONGEST => {
            return Err(wrong(&format_args!("longer than {LONGEST} bytes")));
        }
        Ok(_) => {}
    }
    let head: Head = serde_json::from_slice(&text).map_err(|error| wrong(&error))?;
    if head.version != Saved::VERSION {
        let (found, ours) = (head.version, Saved::VERSION);
        return Err(wrong(&format_args!("version {found}; accepted: {ours}")));
    }
    serde_json::from_slice(&text).map(Some).map_err(|error| wrong(&error))
}

impl Real<'_> {
    /// The words before the verb.
    fn globals(&self) -> impl Iterator<Item = &OsStr> {
        let ours = self.line.on_error.as_ref().map_or(0, |(range, _)| range.len());
        self.words[..self.line.before.saturating_sub(ours)].iter().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests;
