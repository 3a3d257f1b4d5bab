//! `ubc runtime` in front of a runtime, and what is to be the same whoever asks for it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Engine;
use crate::common::{Node, UBC};

/// Enough for a runtime to enter a container, and soon used up.
pub(crate) const NUMFILE: u64 = 300;

/// `ubc runtime` before this runtime, as engines want it: one path.
pub(crate) fn wrapper(node: &Node, real: &str, settings: &str) -> PathBuf {
    let dir = node.dir.path();
    let conf = dir.join(format!("{real}.conf"));
    let path = dir.join(format!("ubc-{real}"));
    let text = format!("RUNTIME={real}\n{settings}");
    if std::fs::read_to_string(&conf).is_ok_and(|there| there == text) {
        // Another engine may be running it just now.
        return path;
    }
    let (at, run) = (conf.display(), dir.display());
    let line = format!("UBC_RUNTIME_CONF={at} exec {UBC} --run-dir {run} runtime \"$@\"");
    std::fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(&conf, text).unwrap();
    path
}

/// A bundle without hooks, whose annotations say it all.
pub(crate) fn oci(node: &Node, real: &str, id: &str) -> Engine {
    let engine = Engine::oci(real, id, Value::Null).behind(&wrapper(node, real, ""));
    engine.configure(|config| {
        config["annotations"]["org.openvz.ubc.numfile"] = format!("{NUMFILE}:{NUMFILE}").into();
    });
    engine
}

/// What [`oci`] has in its bundle.
pub(crate) fn annotations(id: &str) -> [(&'static str, String); 2] {
    [
        ("org.openvz.ubc.ctid", id.to_owned()),
        ("org.openvz.ubc.numfile", format!("{NUMFILE}:{NUMFILE}")),
    ]
}

/// Files of configuration that give a container what annotations give others; the words
/// before a command of `ubc` that are to use them.
pub(crate) fn configured(node: &Node, id: &str) -> String {
    let etc = node.dir.path().join("etc");
    std::fs::create_dir_all(etc.join("conf")).unwrap();
    let text = format!("NUMFILE=\"{NUMFILE}:{NUMFILE}\"\n");
    std::fs::write(etc.join(format!("conf/{id}.conf")), text).unwrap();
    format!("{UBC} --run-dir {} --config-dir {}", node.dir.path().display(), etc.display())
}

/// The containers that the daemon knows.
pub(crate) fn ids(node: &Node) -> Vec<u64> {
    let list = node.json(&["list", "--json"]);
    list.as_array().unwrap().iter().map(|one| one["id"].as_u64().unwrap()).collect()
}

/// The mounts at or below a directory, in this process's mount namespace.
pub(crate) fn mounts(below: &Path) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let place =
        |line: &&str| line.split(' ').nth(1).is_some_and(|at| Path::new(at).starts_with(below));
    table.lines().filter(place).map(str::to_owned).collect()
}
