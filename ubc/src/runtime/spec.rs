//! A container's config.json, and what is added to it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use serde_json::value::RawValue;
use ubc_core::Resource;

use super::object::Object;
use crate::error::Result;
use crate::limits::page_size;
use crate::oci::{Annotations, Ceiling, DEFAULT_PROFILE, PREFIX, Resolved};

/// Annotations by which engines mark the container that only holds a pod's
/// namespaces, and what they say there.
const SANDBOX: [&str; 2] =
    ["io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"];

/// The hook's stages: it starts the count, and ends it before the runtime returns.
const STAGES: [&str; 2] = ["createRuntime", "poststop"];

/// An older stage that does as well as createRuntime.
const PRESTART: &str = "prestart";

/// Tasks that a runtime's own init needs at its start (runc's, in Go, has up to a
/// dozen threads), with room for more. A lower limit is imposed by the hook, when
/// that init has done its work.
const ROOM_TASKS: u64 = 64;

/// The same of memory, in bytes.
const ROOM_BYTES: u64 = 64 << 20;

/// A config.json.
#[derive(Debug)]
pub(super) struct Spec {
    whole: Object,
    annotations: Object,
}

/// What runs as the hook.
#[derive(Debug)]
pub(super) struct Hook<'a> {
    pub(super) program: &'a Path,
    pub(super) args: &'a [String],
}

impl Spec {
    /// Reads one. The error is what follows the file's name.
    pub(super) fn parse(text: &[u8]) -> std::result::Result<Spec, String> {
        let whole: Object =
            serde_json::from_slice(text).map_err(|error| format!("not as OCI has it: {error}"))?;
        let annotations = whole.get("annotations").map_err(|error| wrong(&error))?;
        Ok(Spec { annotations: annotations.unwrap_or_default(), whole })
    }

    /// Its text.
    pub(super) fn to_text(&self) -> Vec<u8> {
        // It consists of JSON.
        serde_json::to_vec(&self.whole).unwrap_or_default()
    }

    /// Whether the container only holds the namespaces of a Kubernetes pod.
    pub(super) fn is_sandbox(&self) -> bool {
        let text = |name| self.annotations.get::<String>(name).ok().flatten();
        SANDBOX.iter().any(|name| text(name).as_deref() == Some("sandbox"))
    }

    /// A container without mounts of its own has the host's /proc, or would have
    /// what only its runtime is to have.
    pub(super) fn needs_own_mounts(&self) -> std::result::Result<(), String> {
        #[derive(serde::Deserialize)]
        struct Namespace {
            r#type: String,
        }
        let linux: Object = self.whole.get("linux").map_err(|e| wrong(&e))?.unwrap_or_default();
        let all: Option<Vec<Namespace>> =
            linux.get("namespaces").map_err(|error| wrong(&format!("linux.{error}")))?;
        if all.into_iter().flatten().any(|one| one.r#type == "mount") {
            return Ok(());
        }
        Err("linux.namespaces: none of type mount; accepted: a container that has one".to_owned())
    }

    /// The annotations that concern us.
    pub(super) fn annotations(&self) -> std::result::Result<Annotations, String> {
        let mut ours = BTreeMap::new();
        for (name, _) in self.annotations.members().filter(|(name, _)| name.starts_with(PREFIX)) {
            let value: Option<String> =
                self.annotations.get(name).map_err(|error| format!("annotation {error}"))?;
            ours.insert(name, value.unwrap_or_default());
        }
        Annotations::read(ours.iter().map(|(name, value)| (*name, value.as_str())))
            .map_err(|failure| failure.message)
    }

    /// What the runtime limits anyway.
    pub(super) fn ceiling(&self) -> Result<std::result::Result<Ceiling, String>> {
        match self.whole.get("linux") {
            Ok(linux) => Ceiling::of(linux.as_ref()).map(Ok),
            Err(error) => Ok(Err(wrong(&error))),
        }
    }

    /// Tells the hook the profile of a container that has none and no file.
    pub(super) fn default_profile(&mut self, name: &str) {
        let key = format!("{PREFIX}{DEFAULT_PROFILE}");
        if self.annotations.raw(&key).is_none() {
            self.annotations.set(&key, &name);
            self.whole.set("annotations", &self.annotations);
        }
    }

    /// Lowers the runtime's own limits to these, so that they are the
    /// container's from its first moment and whoever writes the runtime's
    /// limits anew, as systemd does, writes these.
    pub(super) fn limit(&mut self, wanted: &Resolved) -> Result<std::result::Result<(), String>> {
        let page = page_size()?;
        let numproc = wanted.limit(Resource::NumProc).filter(|limit| *limit >= ROOM_TASKS);
        let ram = wanted.limit(Resource::PhysPages).map(|pages| page.bytes_in(pages));
        let ram = ram.and_then(|bytes| u64::try_from(bytes).ok()).filter(|it| *it >= ROOM_BYTES);
        let signed = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok());
        Ok(self.lower(signed(numproc), signed(ram)).map_err(|error| wrong(&error)))
    }

    fn lower(&mut self, numproc: Option<i64>, ram: Option<i64>) -> std::result::Result<(), String> {
        if numproc.is_none() && ram.is_none() {
            return Ok(());
        }
        let mut linux: Object = self.whole.get("linux")?.unwrap_or_default();
        let mut resources: Object = linux.get("resources")?.unwrap_or_default();
        let limited = |value: Option<i64>| value.filter(|value| *value > 0);
        if let Some(ours) = numproc {
            let mut pids: Object = resources.get("pids")?.unwrap_or_default();
            if limited(pids.get("limit")?).is_none_or(|theirs| theirs > ours) {
                pids.set("limit", &ours);
                resources.set("pids", &pids);
            }
        }
        if let Some(ours) = ram {
            let mut memory: Object = resources.get("memory")?.unwrap_or_default();
            let theirs = limited(memory.get("limit")?);
            if theirs.is_none_or(|theirs| theirs > ours) {
                // OCI's swap is the sum: the difference is what it grants.
                if let (Some(theirs), Some(both)) = (theirs, limited(memory.get("swap")?)) {
                    memory.set("swap", &(ours + (both - theirs).max(0)));
                }
                memory.set("limit", &ours);
                resources.set("memory", &memory);
            }
        }
        linux.set("resources", &resources);
        self.whole.set("linux", &linux);
        Ok(())
    }

    /// Takes the hook out of where it starts the count: at a restore runtimes run it before
    /// the container has its mounts.
    pub(super) fn unhook_start(&mut self, hook: &Hook<'_>) -> std::result::Result<(), String> {
        let mut hooks: Object = self.whole.get("hooks").map_err(|e| wrong(&e))?.unwrap_or_default();
        for stage in [STAGES[0], PRESTART] {
            let all: Option<Vec<Box<RawValue>>> =
                hooks.get(stage).map_err(|error| wrong(&format!("hooks.{error}")))?;
            let Some(mut all) = all else { continue };
            all.retain(|one| !hook.is(one));
            hooks.set(stage, &all);
            self.whole.set("hooks", &hooks);
        }
        Ok(())
    }

    /// Adds the hook where it is missing.
    pub(super) fn hook(&mut self, hook: &Hook<'_>) -> std::result::Result<(), String> {
        let mut hooks: Object = self.whole.get("hooks").map_err(|e| wrong(&e))?.unwrap_or_default();
        let of = |hooks: &Object, stage: &str| -> std::result::Result<Vec<Box<RawValue>>, String> {
            let all = hooks.get(stage).map_err(|error| wrong(&format!("hooks.{error}")))?;
            Ok(all.unwrap_or_default())
        };
        let prestart = of(&hooks, PRESTART)?.iter().any(|one| hook.is(one));
        for stage in STAGES {
            let mut all = of(&hooks, stage)?;
            let older = stage == STAGES[0] && prestart;
            if older || all.iter().any(|one| hook.is(one)) {
                continue;
            }
            // youki's state does not tell one from the other.
            let args: Vec<&str> = hook.args.iter().map(String::as_str).chain([stage]).collect();
            let entry = json!({ "path": hook.program, "args": args });
            let entry =
                serde_json::value::to_raw_value(&entry).map_err(|error| error.to_string())?;
            all.push(entry);
            hooks.set(stage, &all);
            self.whole.set("hooks", &hooks);
        }
        Ok(())
    }
}

impl Hook<'_> {
    /// Whether an entry is this hook, whoever put it there and with what options.
    fn is(&self, entry: &RawValue) -> bool {
        #[derive(serde::Deserialize)]
        struct Entry {
            path: std::path::PathBuf,
            #[serde(default)]
            args: Vec<String>,
        }
        let Ok(entry) = serde_json::from_str::<Entry>(entry.get()) else { return false };
        let name = entry.path.file_name();
        let program = name == Some("ubc".as_ref()) || name == self.program.file_name();
        program && entry.args.iter().skip(1).any(|word| word == "hook")
    }
}

fn wrong(error: &str) -> String {
    format!("not as OCI has it: {error}")
}

#[cfg(test)]
mod tests;
