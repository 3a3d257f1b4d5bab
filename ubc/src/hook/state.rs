//! What an OCI runtime tells its hooks.

use std::io::Read;
use std::path::{Path, PathBuf};

use oci_spec::runtime::ContainerState;
use serde::Deserialize;

use crate::error::{Failure, Kind, Result};
use crate::oci::{Annotations, Ceiling, LONGEST, Linux};
use crate::protocol::Adopt;

/// Longest line said about them.
const LONGEST_LINE: usize = 400;

/// Longest name of a container; engines use 64 characters.
const LONGEST_NAME: usize = 1024;

/// The state of a container, with all in it that a hook needs.
#[derive(Debug)]
pub(crate) struct State(oci_spec::runtime::State);

/// As much of a bundle's config.json as a hook needs, whatever else is in it.
#[derive(Deserialize)]
struct Config {
    root: Option<Root>,
    linux: Option<Linux>,
}

#[derive(Deserialize)]
struct Root {
    path: PathBuf,
}

impl State {
    /// Reads a state to its end.
    pub(crate) fn read(from: impl Read) -> Result<State> {
        let state: oci_spec::runtime::State =
            json(from, "the container's state on standard input")?;
        if state.id().is_empty() || state.id().len() > LONGEST_NAME {
            let message = "the container's state on standard input has no usable \"id\"";
            return Err(refused(message));
        }
        Ok(State(state))
    }

    /// Whether the container has come to its end.
    pub(super) fn has_stopped(&self) -> bool {
        // A runtime that tells no status tells at least a process.
        *self.0.status() == ContainerState::Stopped && self.0.pid().is_none_or(|pid| pid == 0)
    }

    /// What the runtime calls the container.
    pub(super) fn name(&self) -> String {
        self.0.id().clone()
    }

    /// Its annotations, as far as they concern us.
    pub(crate) fn annotations(&self) -> Result<Annotations> {
        let all = self.0.annotations().iter().flatten();
        Annotations::read(all.map(|(name, value)| (name.as_str(), value.as_str())))
            .map_err(|failure| refused(failure.message))
    }

    /// What to ask the daemon for.
    pub(crate) fn adopt(&self, root: &Path) -> Result<Adopt> {
        let pid = self.0.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        let pid = pid.ok_or_else(|| {
            let name = self.0.id();
            refused(format!("the state of container {name} has no usable \"pid\""))
        })?;
        Ok(super::plain(self.annotations()?.ctid(), self.name(), pid, root))
    }

    /// Where the runtime prepares the container's root, and what it limits, by
    /// config.json.
    pub(super) fn bundle(&self) -> Result<(PathBuf, Ceiling)> {
        let bundle: &Path = self.0.bundle();
        if !bundle.is_absolute() {
            let name = self.0.id();
            let message = format!("the state of container {name} has no usable \"bundle\"");
            return Err(refused(message));
        }
        let path = bundle.join("config.json");
        let shown = path.display().to_string();
        let file = std::fs::File::open(&path).map_err(|error| {
            Failure::new(Kind::NoContainer, format!("cannot open {shown}: {error}"))
        })?;
        let config: Config = json(file, &shown)?;
        match config.root {
            Some(root) if !root.path.as_os_str().is_empty() => {
                Ok((bundle.join(root.path), Ceiling::of(config.linux.as_ref())?))
            }
            _ => Err(refused(format!("{shown} has no root.path"))),
        }
    }
}

/// A failure that repeats no more of what it was given than fits a line.
fn refused(message: impl std::fmt::Display) -> Failure {
    let mut failure = Failure::usage(message);
    failure.message.truncate(failure.message.floor_char_boundary(LONGEST_LINE));
    failure
}

/// Reads one bounded piece of JSON.
fn json<T: for<'de> Deserialize<'de>>(from: impl Read, what: &str) -> Result<T> {
    let mut text = Vec::new();
    from.take(LONGEST + 1)
        .read_to_end(&mut text)
        .map_err(|error| Failure::system(format!("cannot read {what}: {error}")))?;
    if text.len() as u64 > LONGEST {
        return Err(refused(format!("{what} is longer than {LONGEST} bytes")));
    }
    serde_json::from_slice(&text)
        .map_err(|error| refused(format!("{what} is not as OCI has it: {error}")))
}

#[cfg(test)]
mod tests;
