//! A container that can be written down and restored, and what is to be there again.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Engine;
use super::behind::{NUMFILE, ids};
use crate::common::{File, Node, wait_until};

/// What a container does that can be written down: nothing of it is outside.
pub(crate) const INIT: &str = "#!/bin/sh\nexec </dev/null >/dev/null 2>&1\ni=0\n\
                    while :; do i=$((i + 1)); echo $i >/dev/count; sleep 1; done\n";

pub(crate) fn executable(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// How far it has come.
pub(crate) fn count(engine: &Engine) -> u64 {
    engine.exec("/bin/cat /dev/count").trim().parse().unwrap_or(0)
}

pub(crate) fn view(engine: &Engine, id: &str) -> File {
    let text = engine.exec("/bin/cat /proc/user_beancounters");
    assert!(text.starts_with("Version: 2.5\n") && text.contains(&format!("{id}:")), "{text}");
    File::new(&text)
}

/// A container that has counted something; its highest numproc.
pub(crate) fn has_counted(node: &Node, engine: &Engine, id: &str) -> u64 {
    wait_until("its count", || count(engine) > 0);
    let line = "for i in 1 2 3 4 5 6 7 8; do sleep 600 & done; cat /proc/user_beancounters; \
                kill $(jobs -p)";
    executable(&engine.root().join("peak"), &format!("#!/bin/sh\n{line}\n"));
    let peak = File::new(&engine.exec("/peak")).row("numproc")[1];
    assert!(peak >= 9, "{peak}");
    node.done(&["set", id, "--numflock", "77:88"]);
    peak
}

/// What it had is there again.
pub(crate) fn goes_on(node: &Node, engine: &Engine, id: &str, peak: u64) {
    assert_eq!(ids(node), [id.parse::<u64>().unwrap()]);
    let file = view(engine, id);
    assert!(file.row("numproc")[1] >= peak, "{} < {peak}", file.row("numproc")[1]);
    assert!(file.held("numproc") < peak);
    let configured = node.json(&["show", id, "--json"])["configured"].clone();
    assert_eq!(configured["numfile"]["limit"], NUMFILE, "{configured}");
    assert_eq!(configured["numflock"], serde_json::json!({"barrier": 77, "limit": 88}));
}
