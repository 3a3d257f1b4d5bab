//! Engines that are given `ubc runtime` as their runtime, two of them with a
//! daemon of their own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::{Engine, rootfs, words};
use crate::common::{output, wait_until};

/// A daemon that ends with its test.
pub(crate) struct Daemon {
    dir: TempDir,
    child: Child,
}

impl Daemon {
    /// containerd, with everything it keeps in a directory of its own.
    pub(crate) fn containerd(more: &str) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        let config = format!(
            "version = 2\nroot = \"{at}/root\"\nstate = \"{at}/state\"\n{more}\n\
             [grpc]\naddress = \"{at}/socket\"\n[ttrpc]\naddress = \"{at}/ttrpc\"\n"
        );
        std::fs::write(dir.path().join("config.toml"), config).unwrap();
        Daemon::start(&format!("containerd --config {at}/config.toml"), dir)
    }

    /// dockerd, with this containerd and this runtime.
    pub(crate) fn docker(containerd: &Daemon, runtime: &Path) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().to_str().unwrap();
        let line = format!(
            "dockerd --host unix://{at}/socket --data-root {at}/data --exec-root {at}/exec \
             --containerd {} --pidfile {at}/pid --bridge none --iptables=false --ip6tables=false \
             --storage-driver vfs --add-runtime ubc={}",
            containerd.path("socket"),
            runtime.display()
        );
        Daemon::start(&line, dir)
    }

    fn start(line: &str, dir: TempDir) -> Daemon {
        let line = words(line);
        let log = std::fs::File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let daemon = Daemon { dir, child };
        let socket = daemon.path("socket");
        wait_until(&line[0], || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        daemon
    }

    /// Where it keeps everything.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Something in its directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It ends what it started.
        drop(Command::new("kill").arg(self.child.id().to_string()).status());
        drop(self.child.wait());
    }
}

/// What configures a unit of systemd-nspawn, gone on drop.
pub(crate) struct Nspawn {
    unit: String,
    settings: String,
    machine: String,
}

/// Where a machine's leader is named to `ubc`; docs/runtimes.md has it too.
const DROP_IN: &str = "[Service]\nExecStartPost=/bin/sh -c 'exec UBC view \
     --attach \"$$(machinectl show --property=Leader --value %i)\" --name %i'\n";

impl Nspawn {
    /// One container that is made of `engine`'s root file system.
    pub(crate) fn of(ubc: &str, name: &str) -> (Nspawn, Engine) {
        let dir = tempfile::tempdir().unwrap();
        let root = rootfs(dir.path());
        std::fs::create_dir_all(root.join("usr/lib")).unwrap();
        std::fs::write(root.join("usr/lib/os-release"), "ID=test\n").unwrap();
        let nspawn = Nspawn {
            unit: format!("/run/systemd/system/systemd-nspawn@{name}.service.d"),
            settings: format!("/run/systemd/nspawn/{name}.nspawn"),
            machine: format!("/var/lib/machines/{name}"),
        };
        std::fs::create_dir_all(&nspawn.unit).unwrap();
        std::fs::create_dir_all("/run/systemd/nspawn").unwrap();
        std::fs::create_dir_all("/var/lib/machines").unwrap();
        let drop_in = DROP_IN.replace("UBC", ubc);
        std::fs::write(Path::new(&nspawn.unit).join("ubc.conf"), drop_in).unwrap();
        let settings = "[Exec]\nBoot=no\nParameters=/init\nPrivateUsers=no\nLinkJournal=no\n\
                        [Network]\nVirtualEthernet=no\nPrivate=yes\n";
        std::fs::write(&nspawn.settings, settings).unwrap();
        std::os::unix::fs::symlink(&root, &nspawn.machine).unwrap();
        output(Command::new("systemctl").arg("daemon-reload"));
        let enter = format!(
            "p=$(machinectl show --property=Leader --value {name}) && \
             g=$(cut -d: -f3 /proc/$p/cgroup) && echo $$ >/sys/fs/cgroup$g/cgroup.procs && \
             exec nsenter --target $p --mount --pid --root --wd -- \"$@\""
        );
        let unit = format!("systemd-nspawn@{name}.service");
        let start = format!(
            "systemctl start {unit} || {{ journalctl --no-pager --lines=20 --unit={unit}; exit 1; }}"
        );
        let engine = Engine {
            base: Vec::new(),
            start: ["sh", "-c", &start].map(str::to_owned).to_vec(),
            exec: ["sh", "-c", &enter, "sh"].map(str::to_owned).to_vec(),
            // Not nspawn itself, which would leave a mount of its own.
            kill: words(&format!("machinectl kill --kill-whom=leader --signal=KILL {name}")),
            forget: words(&format!("systemctl stop {unit}")),
            name: name.to_owned(),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        };
        (nspawn, engine)
    }
}

impl Drop for Nspawn {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.unit));
        drop(std::fs::remove_file(&self.settings));
        drop(std::fs::remove_file(&self.machine));
        drop(Command::new("systemctl").arg("daemon-reload").status());
    }
}

/// `OPTION KEY=VALUE` for each annotation.
fn annotated(option: &str, annotations: &[(&str, String)]) -> String {
    let all = annotations.iter().map(|(key, value)| format!("{option} {key}={value} "));
    all.collect()
}

impl Engine {
    /// podman as root, without hooks.
    pub(crate) fn podman_behind(
        runtime: &Path,
        id: &str,
        annotations: &[(&str, String)],
    ) -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let root = rootfs(dir.path());
        let (at, root, runtime) = (dir.path().display(), root.display(), runtime.display());
        let annotated = annotated("--annotation", annotations);
        Engine {
            base: words(&format!(
                "podman --root {at}/storage --runroot {at}/run --runtime {runtime}"
            )),
            start: words(&format!(
                "run --replace --detach --name ct{id} --network none {annotated} --rootfs {root} \
                 /init"
            )),
            exec: words(&format!("exec ct{id}")),
            kill: words(&format!("kill ct{id}")),
            forget: words(&format!("rm --force ct{id}")),
            name: format!("ct{id}"),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        }
    }

    /// containerd by its own client.
    pub(crate) fn ctr(
        daemon: &Daemon,
        runtime: &Path,
        id: &str,
        annotations: &[(&str, String)],
    ) -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let (root, runtime) = (rootfs(dir.path()), runtime.display());
        let annotated = annotated("--annotation", annotations);
        Engine {
            base: words(&format!("ctr --address {}", daemon.path("socket"))),
            start: words(&format!(
                "run --detach --runc-binary {runtime} {annotated} --rootfs {} ct{id} /init",
                root.display()
            )),
            exec: words(&format!("task exec --exec-id test ct{id}")),
            kill: words(&format!("task rm --force ct{id}")),
            forget: words(&format!("container rm ct{id}")),
            name: format!("ct{id}"),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        }
    }

    /// docker, for an image that is made of a root file system once it is there.
    pub(crate) fn docker(daemon: &Daemon, id: &str, annotations: &[(&str, String)]) -> Engine {
        let dir = tempfile::tempdir().unwrap();
        rootfs(dir.path());
        let annotated = annotated("--annotation", annotations);
        Engine {
            base: words(&format!("docker --host unix://{}", daemon.path("socket"))),
            start: words(&format!(
                "run --detach --name ct{id} --runtime ubc --network none {annotated} ubctest /init"
            )),
            exec: words(&format!("exec ct{id}")),
            kill: words(&format!("kill ct{id}")),
            forget: words(&format!("rm --force ct{id}")),
            name: format!("ct{id}"),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        }
    }

    /// Makes docker's image of the root file system as it is now.
    pub(crate) fn import(&self) {
        let tar = self.dir.path().join("image.tar");
        output(Command::new("tar").arg("-C").arg(self.root()).arg("-cf").arg(&tar).arg("."));
        let mut command = Command::new(&self.base[0]);
        output(command.args(&self.base[1..]).arg("import").arg(&tar).arg("ubctest"));
    }
}
