//! Container engines with `ubc runtime` in the place of their runtime, or with the hook or
//! unit where they have none: what holds with each of them, as a table. They share a daemon
//! of `ubc` and a containerd, because each process takes an emulated machine long to start.
//!
//! `UBC_ENGINES=docker,LXC` looks at those only.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::any::Any;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use common::engine::behind::{NUMFILE, annotations, configured, ids, oci, wrapper};
use common::engine::cri::{self, Pod};
use common::engine::daemons::{Daemon, Nspawn};
use common::engine::rows::{Row, with_each};
use common::engine::traces::{Before, Traces, nothing_is_kept};
use common::engine::{Engine, installed};
use common::{File, Node, wait_until};

/// What is shown of each engine, in the order in which it is.
const COLUMNS: [&str; 5] =
    ["view", "refused at the call", "failcnt", "daemon killed -9", "container killed -9"];

/// An engine to look at.
struct Entry {
    name: &'static str,
    /// What has to be installed.
    programs: &'static [&'static str],
    /// Of its container.
    id: &'static str,
    start: fn(&Shared, &Entry) -> Life,
}

const ENGINES: [Entry; 9] = [
    Entry { name: "runc", programs: &["runc"], id: "90001801", start: a_bundle },
    Entry { name: "crun", programs: &["crun"], id: "90001802", start: a_bundle },
    Entry { name: "youki", programs: &["youki"], id: "90001803", start: a_bundle },
    Entry { name: "podman", programs: &["podman", "crun"], id: "90001811", start: podman },
    Entry { name: "containerd", programs: &["containerd"], id: "90001812", start: containerd },
    Entry {
        name: "docker",
        programs: &["dockerd", "docker", "containerd"],
        id: "90001813",
        start: docker,
    },
    Entry {
        name: "Kubernetes (CRI)",
        programs: &["containerd", "curl"],
        id: "90001815",
        start: a_kubelets_pod,
    },
    Entry { name: "LXC", programs: &["lxc-start"], id: "90001814", start: lxc },
    Entry {
        name: "systemd-nspawn",
        programs: &["systemd-nspawn"],
        // The first number, which the name then keeps.
        id: "10000000",
        start: nspawn,
    },
];

impl Entry {
    /// Whether it can be looked at here; says why not.
    fn is_here(&self) -> bool {
        let is_booted = || Path::new("/run/systemd/system").exists();
        if self.name == "systemd-nspawn" && !is_booted() {
            println!("SKIP: systemd is not this machine's init");
            return false;
        }
        self.programs.iter().all(|program| installed(program))
    }

    fn is_wanted(&self) -> bool {
        let wanted = std::env::var("UBC_ENGINES").unwrap_or_default();
        wanted.is_empty() || wanted.split(',').any(|name| name == self.name)
    }
}

/// What the engines share.
struct Shared {
    node: Node,
    containerd: OnceLock<(Daemon, Before)>,
}

impl Shared {
    fn new() -> Shared {
        let node = Node::start();
        for runtime in ["runc", "crun", "youki"] {
            wrapper(&node, runtime, "");
        }
        Shared { node, containerd: OnceLock::new() }
    }

    fn containerd(&self) -> &Daemon {
        let start = || {
            let daemon = Daemon::containerd(&cri::config(&wrapper(&self.node, "runc", "")));
            let before = Before::of_places(&[daemon.dir()]);
            (daemon, before)
        };
        &self.containerd.get_or_init(start).0
    }
}

/// A container that runs.
struct Life {
    engine: Engine,
    pod: Option<Pod>,
    traces: Traces,
    id: &'static str,
    /// What has to be there as long as the engine is.
    _with: Option<Box<dyn Any + Send>>,
}

impl Life {
    /// Of an engine that is to start it, and has something in these directories.
    fn start(shared: &Shared, engine: Engine, places: &[&Path], entry: &Entry) -> Life {
        let before = Before::of_places(&[places, &[engine.dir.path()]].concat());
        engine.start().unwrap();
        let traces = before.of(&shared.node, entry.id);
        Life { engine, pod: None, traces, id: entry.id, _with: None }
    }

    fn with(self, what: impl Send + 'static) -> Life {
        Life { _with: Some(Box::new(what)), ..self }
    }

    /// The engine's own way to remove what has ended.
    fn remove(&mut self) {
        match &mut self.pod {
            Some(pod) => {
                pod.remove();
                self.engine.is_removed();
            }
            None => self.engine.forget(),
        }
    }
}

fn a_bundle(shared: &Shared, entry: &Entry) -> Life {
    let engine = oci(&shared.node, entry.name, entry.id);
    furnish(&engine.root());
    Life::start(shared, engine, &[], entry)
}

fn podman(shared: &Shared, entry: &Entry) -> Life {
    let runtime = wrapper(&shared.node, "crun", "");
    let engine = Engine::podman_behind(&runtime, entry.id, &annotations(entry.id));
    furnish(&engine.root());
    Life::start(shared, engine, &[], entry)
}

fn containerd(shared: &Shared, entry: &Entry) -> Life {
    let runtime = wrapper(&shared.node, "runc", "");
    let asked = annotations(entry.id);
    let engine = Engine::ctr(shared.containerd(), &runtime, entry.id, &asked);
    furnish(&engine.root());
    Life::start(shared, engine, &[], entry)
}

fn docker(shared: &Shared, entry: &Entry) -> Life {
    let daemon = Daemon::docker(shared.containerd(), &wrapper(&shared.node, "runc", ""));
    let engine = Engine::docker(&daemon, entry.id, &annotations(entry.id));
    furnish(&engine.root());
    engine.import();
    Life::start(shared, engine, &[daemon.dir()], entry).with(daemon)
}

fn a_kubelets_pod(shared: &Shared, entry: &Entry) -> Life {
    let mut pod = Pod::new(shared.containerd(), furnish);
    let asked = annotations(entry.id);
    // The one that holds the namespaces is nobody's: it may have the id, and has not.
    pod.sandbox(&asked);
    let refused = pod.start(&[("org.openvz.ubc.numfile", "many".to_owned())]).err().unwrap();
    assert!(refused.contains("annotation org.openvz.ubc.numfile"), "{refused}");
    pod.remove_container();
    let engine = pod.start(&asked).unwrap();
    let traces = Before::of_places(&[]).of(&shared.node, entry.id);
    Life { engine, pod: Some(pod), traces, id: entry.id, _with: None }
}

fn lxc(shared: &Shared, entry: &Entry) -> Life {
    let engine = Engine::lxc_with(&configured(&shared.node, entry.id), entry.id);
    furnish(&engine.root());
    Life::start(shared, engine, &[], entry)
}

fn nspawn(shared: &Shared, entry: &Entry) -> Life {
    let (units, engine) = Nspawn::of(&configured(&shared.node, entry.id), "ubctest");
    furnish(&engine.root());
    Life::start(shared, engine, &[], entry).with(units)
}

/// What is run in a container: each entry takes an emulated machine seconds.
const TOLD: &str = "#!/bin/sh\nPATH=/bin\ncat /proc/user_beancounters\necho ----\nrefused numfile 2>&1\n\
                    echo ----\ncat /proc/user_beancounters\n";

/// Puts what is run in it into a container's root file system.
fn furnish(root: &Path) {
    use std::os::unix::fs::PermissionsExt as _;

    common::install_example("refused", root);
    let path = root.join("bin/told");
    std::fs::write(&path, TOLD).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What its annotations asked for is there, and refused beyond.
fn has_what_it_is_to_have(node: &Node, life: &Life, refuses: bool, row: &mut Row) {
    let (engine, id) = (&life.engine, life.id);
    // Where nothing refuses it would take its time.
    let told = engine.exec(if refuses { "/bin/told" } else { "/bin/cat /proc/user_beancounters" });
    let mut parts = told.split("----\n");
    let mut part = || parts.next().unwrap_or_default();
    let (before, said, after) = (part(), part(), part());
    assert!(before.starts_with("Version: 2.5\n") && before.contains(&format!("{id}:")), "{told}");
    row.yes();
    if !refuses {
        row.skipped();
        row.skipped();
        return;
    }
    assert_eq!(File::new(before).row("numfile")[2..], [NUMFILE, NUMFILE, 0], "{told}");
    assert!(said.contains("(os error 23)"), "{told}");
    row.yes();
    let [_, maxheld, .., failcnt] = File::new(after).row("numfile");
    assert_eq!(maxheld, NUMFILE, "{told}");
    assert!(said.trim_end().ends_with(&format!("failcnt 0 -> {failcnt}")), "{told}");
    let rows = node.json(&["show", id, "--json"])["reading"]["rows"]["numfile"].clone();
    assert_eq!(rows["failcnt"], failcnt, "{rows}");
    row.yes();
}

/// The next daemon has it as the last one had, and nothing stays of it when it is killed.
fn goes_on_and_ends(node: &Node, mut life: Life, refuses: bool, row: &mut Row) {
    let id = life.id;
    let again = life.engine.exec("/bin/cat /proc/user_beancounters");
    assert!(again.contains(&format!("{id}:")), "{again}");
    if refuses {
        let numfile = File::new(&again).row("numfile");
        assert_eq!(numfile[2..4], [NUMFILE, NUMFILE], "{again}");
        assert_ne!(numfile[4], 0, "{again}");
    }
    row.yes();
    let pid = life.traces.init.file_name().unwrap();
    common::output(Command::new("kill").arg("-9").arg(pid));
    wait_until("its end", || !ids(node).contains(&number(id)));
    life.remove();
    life.traces.are_gone(node);
    row.yes();
}

fn number(id: &str) -> u64 {
    id.parse().unwrap()
}

#[test]
fn no_engine_loses_or_leaves_a_container_when_that_or_the_daemon_is_killed() {
    let mut rows: Vec<Row> = ENGINES.iter().map(|one| Row::of(one.name, &COLUMNS)).collect();
    if common::skip() {
        return;
    }
    let refuses = common::imposes("numfile");
    let entries = rows.iter_mut().zip(&ENGINES);
    let here: Vec<_> = entries.filter(|(_, one)| one.is_wanted() && one.is_here()).collect();
    let mut shared = Shared::new();
    let at_first = Before::of_places(&[shared.node.dir.path()]);

    let lives = with_each(here, |row, entry| {
        let life = (entry.start)(&shared, entry);
        has_what_it_is_to_have(&shared.node, &life, refuses, row);
        life
    });
    shared.node.kill_daemon();
    let survived = |(row, life): (_, Life)| (row, (life.traces.init.exists(), life));
    let lives: Vec<_> = lives.into_iter().map(survived).collect();
    shared.node.start_daemon();
    let mut living: Vec<u64> = lives.iter().map(|(_, (_, life))| number(life.id)).collect();
    living.sort_unstable();
    let mut known = ids(&shared.node);
    known.sort_unstable();
    let ended = with_each(lives, |row, (survived, life)| {
        assert!(survived, "the container has ended with the daemon");
        goes_on_and_ends(&shared.node, life, refuses, row);
    });
    drop(ended);

    let failed: Vec<&str> = rows.iter().filter_map(Row::failure).collect();
    // Told before anything else fails.
    drop(rows);
    assert!(failed.is_empty(), "{}", failed.join(", "));
    // Each engine's containers, and none of its own.
    assert_eq!(known, living);
    at_first.is_again();
    if let Some((_, before)) = shared.containerd.get() {
        before.is_again();
    }
    nothing_is_kept(&shared.node);
}
