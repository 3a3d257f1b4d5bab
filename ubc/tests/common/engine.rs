//! Installed container runtimes, told to make a container.

pub(crate) mod behind;
pub(crate) mod cri;
pub(crate) mod daemons;
pub(crate) mod lives;
pub(crate) mod rows;
pub(crate) mod traces;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::rootfs::rootfs;
use super::{Node, UBC, output, text, wait_until};

/// A runtime, and one container of it that is not made yet.
pub(crate) struct Engine {
    pub(crate) name: String,
    pub(crate) dir: TempDir,
    /// Where config.json and root file system are.
    bundle: PathBuf,
    /// The command up to the verb.
    base: Vec<String>,
    start: Vec<String>,
    exec: Vec<String>,
    kill: Vec<String>,
    forget: Vec<String>,
    /// Whether the engine has removed it: asking once more takes an emulated machine seconds.
    gone: AtomicBool,
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// Whether a program is installed; says so if not.
pub(crate) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"].map(Into::into);
    let found = std::env::split_paths(&path).chain(usual).any(|dir| dir.join(program).is_file());
    if !found {
        println!("SKIP: {program} is not installed");
    }
    found
}

/// The words of the hook, for a runtime's configuration.
pub(crate) fn hook(node: &Path, args: &[&str]) -> Vec<String> {
    let node = node.to_str().unwrap();
    ["ubc", "--run-dir", node, "hook"].iter().chain(args).map(|&word| word.to_owned()).collect()
}

impl Engine {
    /// runc, crun, youki: a bundle with these hooks, and changes to its config.json.
    pub(crate) fn oci(program: &str, id: &str, hooks: serde_json::Value) -> Engine {
        let dir = tempfile::tempdir().unwrap();
        rootfs(dir.path());
        let at = dir.path().to_str().unwrap().to_owned();
        output(Command::new(program).arg("spec").current_dir(dir.path()));
        let engine = Engine {
            base: words(&format!("{program} --root {at}/state")),
            start: words(&format!("run --detach --bundle {at} ct{id}")),
            exec: words(&format!("exec ct{id}")),
            kill: words(&format!("kill ct{id} KILL")),
            forget: words(&format!("delete --force ct{id}")),
            name: format!("ct{id}"),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        };
        engine.configure(|config| {
            config["process"]["terminal"] = false.into();
            config["process"]["args"] = serde_json::json!(["/init"]);
            config["linux"]["cgroupsPath"] = format!("/ubctest-{id}").into();
            config["linux"]["resources"] = serde_json::json!({});
            config["annotations"] = serde_json::json!({ "org.openvz.ubc.ctid": id });
            config["hooks"] = hooks;
        });
        engine
    }

    /// Has this program where the runtime itself would be.
    pub(crate) fn behind(mut self, program: &Path) -> Engine {
        program.to_str().unwrap().clone_into(&mut self.base[0]);
        self
    }

    /// Has the bundle there, where it was copied to.
    pub(crate) fn bundle_at(mut self, dir: &Path) -> Engine {
        let at = self.start.iter().position(|word| word == "--bundle").unwrap();
        dir.to_str().unwrap().clone_into(&mut self.start[at + 1]);
        dir.clone_into(&mut self.bundle);
        self
    }

    /// The directory of the container's root file system.
    pub(crate) fn root(&self) -> PathBuf {
        self.bundle.join("rootfs")
    }

    /// Runs the runtime itself in something: `unshare --mount`.
    pub(crate) fn within(mut self, wrapper: &str) -> Engine {
        self.base.splice(..0, words(wrapper));
        self
    }

    /// Mounts a file or directory of the host into a runc or crun container.
    pub(crate) fn bind(&self, from: &str, to: &str) {
        self.configure(|config| {
            config["mounts"].as_array_mut().unwrap().push(serde_json::json!({
                "source": from, "destination": to, "type": "bind", "options": ["rbind", "ro"],
            }));
        });
    }

    /// Changes the bundle's config.json.
    pub(crate) fn configure(&self, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.bundle.join("config.json");
        let mut config = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(&path, config.to_string()).unwrap();
    }

    /// podman as root, with a hooks directory.
    pub(crate) fn podman(node: &Node, id: &str, options: &str, shift: Option<u32>) -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let root = rootfs(dir.path());
        if let Some(shift) = shift {
            output(Command::new("chown").args(["-R", &format!("{shift}:{shift}")]).arg(&root));
        }
        Engine::podman_in(dir, node, id, options, &format!("{} /init", root.display()))
    }

    /// podman as root, for a root file system that is somewhere else, and what
    /// to start in it.
    pub(crate) fn podman_of(node: &Node, id: &str, options: &str, what: &str) -> Engine {
        Engine::podman_in(tempfile::tempdir().unwrap(), node, id, options, what)
    }

    fn podman_in(dir: TempDir, node: &Node, id: &str, options: &str, what: &str) -> Engine {
        let hooks = dir.path().join("hooks.d");
        std::fs::create_dir(&hooks).unwrap();
        let hook = serde_json::json!({
            "version": "1.0.0",
            "hook": { "path": UBC, "args": hook(node.dir.path(), &[]) },
            "when": { "always": true },
            "stages": ["createRuntime", "poststop"],
        });
        std::fs::write(hooks.join("ubc.json"), hook.to_string()).unwrap();
        let at = dir.path().to_str().unwrap();
        Engine {
            base: words(&format!(
                "podman --root {at}/storage --runroot {at}/run --hooks-dir {at}/hooks.d"
            )),
            start: words(&format!(
                "run --detach --name ct{id} --network none --annotation org.openvz.ubc.ctid={id} \
                 {options} --rootfs {what}"
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

    /// LXC, whose containers' names are their ids.
    pub(crate) fn lxc(node: &Node, id: &str) -> Engine {
        Engine::lxc_with(&format!("{UBC} --run-dir {}", node.dir.path().display()), id)
    }

    /// The same, with these words before `hook`.
    pub(crate) fn lxc_with(ubc: &str, id: &str) -> Engine {
        let dir = tempfile::tempdir().unwrap();
        let root = rootfs(dir.path());
        let config = format!(
            "lxc.rootfs.path = dir:{}\nlxc.uts.name = ct{id}\nlxc.net.0.type = empty\n\
             lxc.apparmor.profile = unconfined\nlxc.mount.auto = proc:mixed sys:ro\n\
             lxc.init.cmd = /init\nlxc.hook.start-host = {ubc} hook --lxc\n",
            root.display()
        );
        std::fs::write(dir.path().join("config"), config).unwrap();
        let at = dir.path().to_str().unwrap();
        let here = format!("-P {at} -n {id}");
        Engine {
            base: Vec::new(),
            start: words(&format!("lxc-start {here} -f {at}/config -d -o {at}/log -l INFO")),
            exec: words(&format!("lxc-attach {here} --")),
            kill: words(&format!("lxc-stop {here} --kill")),
            forget: words("true"),
            name: id.to_owned(),
            bundle: dir.path().to_owned(),
            gone: AtomicBool::default(),
            dir,
        }
    }

    fn command(&self, verb: &[String]) -> Command {
        let all: Vec<&String> = self.base.iter().chain(verb).collect();
        // Runtimes look for cgroup v2 nowhere else.
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let mut command = if unified {
            Command::new(all[0])
        } else {
            let mut command = Command::new(UBC);
            command.args(["with-cgroup2", "--"]).arg(all[0]);
            command
        };
        command.args(&all[1..]).stdin(Stdio::null());
        command
    }

    /// Makes the container; what the runtime said when it did not.
    pub(crate) fn start(&self) -> Result<(), String> {
        self.make(&self.start)
    }

    /// Makes it by another verb and its words; as [`Engine::start`].
    pub(crate) fn start_by(&self, line: &str) -> Result<(), String> {
        self.make(&words(line))
    }

    fn make(&self, verb: &[String]) -> Result<(), String> {
        self.gone.store(false, Ordering::Relaxed);
        // Files: a container holds the streams it is started with.
        let said = self.dir.path().join("said");
        let file = std::fs::File::create(&said).unwrap();
        let mut command = self.command(verb);
        let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
        if status.success() {
            return Ok(());
        }
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        Err(std::fs::read_to_string(said).unwrap() + &log)
    }

    /// What a command prints in the container.
    pub(crate) fn exec(&self, line: &str) -> String {
        output(&mut self.command(&[self.exec.clone(), words(line)].concat()))
    }

    /// The same, whatever becomes of the command.
    pub(crate) fn try_exec(&self, line: &str) -> String {
        let output = self.command(&[self.exec.clone(), words(line)].concat()).output().unwrap();
        text(&output.stdout)
    }

    /// The pid on the host of a runc container's init.
    pub(crate) fn runc_init(&self) -> String {
        let state = self.dir.path().join("state").join(&self.name).join("state.json");
        let state: serde_json::Value =
            serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
        state["init_process_pid"].to_string()
    }

    /// Has the engine end it and remove it.
    pub(crate) fn kill(&self) {
        for (verb, is_last) in [(&self.kill, false), (&self.forget, true)] {
            // For whoever looks for the reason of a failure.
            let Ok(output) = self.command(verb).output() else { continue };
            if !output.status.success() {
                println!("{}: {}", verb.join(" "), text(&output.stderr).trim());
            } else if is_last {
                self.is_removed();
            }
        }
    }

    /// Has the engine remove it, once it has seen that it ended.
    pub(crate) fn forget(&self) {
        let forget = || self.command(&self.forget).output().unwrap();
        wait_until(&self.forget.join(" "), || forget().status.success());
        self.is_removed();
    }

    /// Whatever else it is known by has removed it.
    pub(crate) fn is_removed(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if !self.gone.load(Ordering::Relaxed) {
            self.kill();
        }
    }
}
