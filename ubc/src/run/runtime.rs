//! The OCI runtime that makes the container: runc, crun or another.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags};

use crate::error::{Failure, Kind, Result};

/// Where runtimes look for cgroups; it cannot be told to them.
const CGROUP_MOUNT: &str = "/sys/fs/cgroup";

/// Where programs are without a PATH, and daemons' programs with most.
const USUAL_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The hidden subcommand behind [`exec_with_cgroup2`].
pub(crate) const INNER: &str = "with-cgroup2";

/// A runtime, ready to be asked.
#[derive(Debug)]
pub(crate) struct Runtime {
    program: PathBuf,
    /// Where it keeps its state: ours, so that all of it goes away with it.
    state: PathBuf,
    /// Whether the host's own /sys/fs/cgroup is no cgroup2 mount.
    private_cgroup: bool,
    name: String,
}

impl Runtime {
    /// The runtime asked for, or the first of runc and crun that is installed.
    pub(crate) fn find(wanted: Option<&Path>) -> Result<PathBuf> {
        let installed = |name: &Path| {
            if name.components().count() > 1 {
                return name.is_file().then(|| name.to_owned());
            }
            let path = std::env::var_os("PATH").unwrap_or_default();
            // podman clears the environment for some verbs, PATH included.
            let usual = USUAL_PATH.map(PathBuf::from);
            std::env::split_paths(&path)
                .chain(usual)
                .map(|dir| dir.join(name))
                .find(|p| p.is_file())
        };
        let unavailable = |message: String| Failure::new(Kind::Unavailable, message);
        match wanted {
            Some(name) => installed(name).ok_or_else(|| {
                unavailable(format!(
                    "no runtime {} here; accepted: a path, or a name in PATH \
                                     (runc, crun)",
                    name.display()
                ))
            }),
            None => ["runc", "crun"].iter().find_map(|name| installed(Path::new(name))).ok_or_else(
                || {
                    unavailable(
                        "no OCI runtime here; install runc or crun (Debian: apt-get install runc)"
                            .to_owned(),
                    )
                },
            ),
        }
    }

    /// Prepares to make the container `name` with the runtime at `program`.
    pub(super) fn new(program: PathBuf, state: PathBuf, name: String) -> Runtime {
        let magic = rustix::fs::statfs(CGROUP_MOUNT).map(|s| s.f_type);
        // CGROUP2_SUPER_MAGIC
        let private_cgroup = !matches!(magic, Ok(0x6367_7270));
        Runtime { program, state, private_cgroup, name }
    }

    fn command(&self) -> Command {
        let mut command = if self.private_cgroup {
            let mut command = Command::new("/proc/self/exe");
            command.arg(INNER).arg("--").arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        command.arg("--root").arg(&self.state);
        command
    }

    /// Makes the container of the bundle; its init waits to be started.
    /// Returns the init's pid. The init inherits our standard streams and, as
    /// we are a subreaper, becomes our child.
    pub(super) fn create(&self, bundle: &Path, pid_file: &Path) -> Result<u32> {
        let mut command = self.command();
        command.arg("create").arg("--bundle").arg(bundle).arg("--pid-file").arg(pid_file);
        let log = bundle.join("runtime.log");
        let status = command
            .arg(&self.name)
            .status()
            .map_err(|error| self.failed("cannot be run", &error.to_string()))?;
        if !status.success() {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            return Err(self.failed("did not create the container", &log));
        }
        std::fs::read_to_string(pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| self.failed("left no pid in", &pid_file.display().to_string()))
    }

    /// Lets the init run its command.
    pub(super) fn start(&self) -> Result<()> {
        self.ask(&["start"])
    }

    /// Forgets the container, killing what is left of it.
    pub(super) fn delete(&self) -> Result<()> {
        self.ask(&["delete", "--force"])
    }

    fn ask(&self, what: &[&str]) -> Result<()> {
        let output = self
            .command()
            .args(what)
            .arg(&self.name)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| self.failed("cannot be run", &error.to_string()))?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        Err(self.failed(&format!("did not {}", what[0]), text.trim()))
    }

    fn failed(&self, what: &str, detail: &str) -> Failure {
        Failure::system(format!("{} {what}: {detail}", self.program.display()))
    }
}

/// Runs a command in a mount namespace of its own whose /sys/fs/cgroup is the
/// cgroup2 hierarchy, as runtimes demand; the host's own mounts stay as they
/// are. Returns only on failure.
pub(crate) fn exec_with_cgroup2(command: &[std::ffi::OsString]) -> Failure {
    let prepare = || -> std::io::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("cgroup2", CGROUP_MOUNT, "cgroup2", flags, None)?;
        Ok(())
    };
    let Some((program, args)) = command.split_first() else {
        return Failure::usage("no command to run");
    };
    if let Err(error) = prepare() {
        return Failure::system(format!("cannot mount cgroup2 on {CGROUP_MOUNT}: {error}"));
    }
    let error = Command::new(program).args(args).exec();
    Failure::system(format!("cannot run {}: {error}", program.display()))
}
