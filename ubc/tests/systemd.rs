//! systemd as the init of a container with the view.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::engine::{Engine, installed};
use common::{Node, output};

/// Units that are about this machine and not about a container of its files.
const NOT_INSIDE: [&str; 17] = [
    "lxc-monitord.service",
    "lxc-net.service",
    "lxc.service",
    "netavark-dhcp-proxy.socket",
    "podman-auto-update.service",
    "podman-restart.service",
    "podman.service",
    "podman.socket",
    "ssh.service",
    "ssh.socket",
    "sshd-vsock.socket",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
];

const PATIENCE: Duration = Duration::from_mins(4);

/// One boot at a time.
static BOOT: Mutex<()> = Mutex::new(());

/// A root file system of this machine's own files, changed in memory only.
struct Copy(tempfile::TempDir);

impl Copy {
    fn new() -> Copy {
        let copy = Copy(tempfile::tempdir().unwrap());
        let at = copy.0.path().display();
        let script = format!(
            "mkdir {at}/change {at}/root && mount -t tmpfs none {at}/change &&
             mkdir {at}/change/upper {at}/change/work && mount -t overlay overlay -o \
             lowerdir=/,upperdir={at}/change/upper,workdir={at}/change/work {at}/root &&
             : >{at}/root/etc/fstab && cd {at}/root/etc/systemd/system &&
             for unit in {}; do ln -sf /dev/null $unit; done",
            NOT_INSIDE.join(" ")
        );
        output(Command::new("sh").args(["-ec", &script]));
        copy
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        for name in ["root", "change"] {
            drop(Command::new("umount").arg("-l").arg(self.0.path().join(name)).output());
        }
    }
}

/// Boots it in a container of podman until it says that it is done; what it
/// says then, the units that failed, and the container.
fn booted(node: &Node, id: &str, options: &str, kernel: &str) -> (String, String, Engine, Copy) {
    let copy = Copy::new();
    let root = copy.0.path().join("root");
    let options = format!("--systemd=always {options}");
    let what = format!("{} /sbin/init {kernel}", root.display());
    let engine = Engine::podman_of(node, id, &options, &what);
    engine.start().unwrap();
    // An emulated machine that shares a busy one takes minutes for it.
    let started = Instant::now();
    let state = loop {
        // It says "offline" until there is somebody to ask.
        let state = engine.try_exec("systemctl is-system-running").trim().to_owned();
        if matches!(&*state, "running" | "degraded" | "maintenance") {
            break state;
        }
        let jobs = || engine.try_exec("systemctl list-jobs");
        assert!(started.elapsed() < PATIENCE, "still {state}: {}", jobs());
        std::thread::sleep(Duration::from_millis(200));
    };
    let failed = engine.try_exec("systemctl --failed --no-legend --plain");
    (state, failed, engine, copy)
}

fn skip() -> bool {
    // With cgroups of its own, and as this machine's own init.
    let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if !unified {
        println!("SKIP: systemd in a container needs a unified cgroup hierarchy");
    }
    common::skip() || !unified || !installed("podman") || !installed("systemctl")
}

#[test]
fn systemd_boots_whole_with_the_view_on_its_proc() {
    common::stands_for("runtimes", "podman systemd");
    if skip() {
        return;
    }
    let _turn = BOOT.lock().unwrap_or_else(PoisonError::into_inner);
    let node = Node::start();
    let (state, failed, engine, _copy) = booted(&node, "90000810", "", "");
    assert_eq!((&*state, &*failed), ("running", ""));
    let file = engine.exec("cat /proc/user_beancounters");
    assert!(file.contains("90000810:"), "{file}");
    // It was there while systemd booted, and systemd saw nothing amiss.
    assert_eq!(engine.exec("cat /proc/1/comm"), "systemd\n");
    let journal = engine.exec("journalctl --boot --no-pager");
    assert!(journal.contains("systemd-tmpfiles-setup.service"), "{journal}");
    assert!(!journal.contains("/proc/ is not mounted"), "{journal}");
    engine.exec("systemd-tmpfiles --create");
    assert!(!engine.try_exec("systemctl list-units").contains("not mounted"));
    // A service whose /proc is restricted, and one whose root is read-only.
    for property in ["ProtectProc=invisible", "ProtectKernelTunables=yes", "ProtectSystem=strict"] {
        engine.exec(&format!("systemd-run --wait --quiet -p {property} cat /proc/self/status"));
    }
    engine.kill();
}

#[test]
fn systemd_with_all_rights_lacks_one_mount_that_wants_no_links() {
    if skip() {
        return;
    }
    let _turn = BOOT.lock().unwrap_or_else(PoisonError::into_inner);
    let node = Node::start();
    let (state, failed, engine, copy) = booted(&node, "90000811", "--privileged", "");
    // /proc/sys is a link, and systemd mounts nothing behind a link.
    assert_eq!(state, "degraded");
    let units: Vec<&str> = failed.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(units, ["proc-sys-fs-binfmt_misc.automount"], "{failed}");
    engine.kill();
    drop(copy);
    // As the documentation says.
    let mask = "systemd.mask=proc-sys-fs-binfmt_misc.automount";
    let (state, failed, engine, _copy) = booted(&node, "90000812", "--privileged", mask);
    assert_eq!((&*state, &*failed), ("running", ""));
    engine.kill();
}
