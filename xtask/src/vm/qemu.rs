//! One QEMU process.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::run::Result;

use super::host;
use super::image::Image;
use super::keeper::{self, Keeper};
use super::qmp::Qmp;

/// The machine, emulated on purpose: where KVM exists it may be one that only
/// takes patched kernels.
const MACHINE: [&str; 8] =
    ["-machine", "pc", "-m", "2G", "-display", "none", "-nodefaults", "-no-reboot"];
/// Without 5-level page tables, which cost time, emulated.
const CPU: &str = "max,la57=off";
/// Without what else costs an emulator more than it gives: string instructions that are fast
/// in silicon go byte by byte here, so that a kernel which believes in them clears and copies
/// pages that way; opening user memory for each copy (SMAP) ends a translated block twice; and
/// protection keys are one more register to switch. No program of ours sees a difference.
const LEAN_CPU: &str = "max,la57=off,erms=off,fsrm=off,smap=off,pku=off";
/// Two processors, as fast as they go.
const FAST: [&str; 4] = ["-accel", "tcg,thread=multi,tb-size=512", "-smp", "2"];
/// The same two by turns, in one thread of the host, so that none runs what the other is
/// writing. A machine that was saved at the other pace goes on at this one.
const BY_TURNS: [&str; 4] = ["-accel", "tcg,thread=single,tb-size=512", "-smp", "2"];
/// One processor, whose clock goes on by a nanosecond with each instruction: what
/// is measured there is the same on any host, however busy.
const COUNTING: [&str; 6] =
    ["-accel", "tcg,thread=single,tb-size=512", "-smp", "1", "-icount", "shift=0"];
/// Nothing about security modules: they are as Debian has them. (Without AppArmor
/// SELinux would take its place, with no policy, and programs behave differently.)
const CMDLINE: &str = "console=ttyS0 panic=-1 quiet nokaslr";
/// Where tests run: without hardening that clears and checks memory once more and changes
/// nothing a program sees. (Nothing that changes what code the kernel makes of ours: with
/// `mitigations=off` its BPF verifier would look at less.) And a TSC that is trusted: its
/// watchdog takes an emulated processor that had to wait for one whose clock is wrong, and
/// each look at the next best clock leaves the translated code.
const LEAN: &str = "init_on_alloc=0 hardened_usercopy=off randomize_kstack_offset=off tsc=reliable";

/// The disk a machine runs on.
#[derive(Clone, Copy)]
pub(super) enum Disk<'a> {
    /// The image; what is written is forgotten.
    Image,
    /// A layer above the image, which keeps what is written.
    Layer(&'a Path),
    /// Such a layer with the RAM that belongs to it; what is written is forgotten.
    Saved(&'a Path),
}

/// How a machine is emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Fast,
    ByTurns,
    Counting,
}

impl Pace {
    /// The processors, and what the kernel is told. Where instructions are counted they are
    /// those of a Debian as it comes, on a processor with all there is: what the figures of a
    /// kernel are compared with is not to change with what makes tests quick.
    fn system(self) -> (&'static [&'static str], &'static str, String) {
        match self {
            Self::Fast => (&FAST, LEAN_CPU, format!("{CMDLINE} {LEAN}")),
            Self::ByTurns => (&BY_TURNS, LEAN_CPU, format!("{CMDLINE} {LEAN}")),
            Self::Counting => (&COUNTING, CPU, CMDLINE.to_owned()),
        }
    }
}

/// Whether a machine ends with us.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// With its owner, or with this process whatever kills it.
    Owned,
    /// When told to.
    Kept,
}

/// A running QEMU.
pub(super) struct Qemu {
    pid: u32,
    socket: PathBuf,
    _keeper: Option<Keeper>,
}

impl Qemu {
    /// Starts one, with its socket and logs in `dir`.
    pub(super) fn start(
        image: &Image,
        disk: Disk<'_>,
        pace: Pace,
        dir: &Path,
        life: Life,
    ) -> Result<Self> {
        let socket = dir.join("qmp");
        let mut command = match life {
            Life::Owned => keeper::mortal(host::QEMU),
            Life::Kept => Command::new(host::QEMU),
        };
        command.args(arguments(image, disk, pace, dir, &socket)).stdin(Stdio::null());
        let log = dir.join("qemu.log");
        let open = || File::options().create(true).append(true).open(&log);
        let failed = |error| format!("{}: {error}", log.display());
        command.stdout(open().map_err(failed)?).stderr(open().map_err(failed)?);
        if life == Life::Owned {
            let keeper = Keeper::spawn(command)?;
            return Ok(Self { pid: keeper.pid(), socket, _keeper: Some(keeper) });
        }
        // Out of our terminal's reach. Init inherits and reaps it.
        let child = command.process_group(0).spawn();
        let pid = child.map_err(|error| format!("{}: {error}", host::QEMU))?.id();
        Ok(Self { pid, socket, _keeper: None })
    }

    /// One that an earlier process left running.
    pub(super) fn attach(pid: u32, dir: &Path) -> Self {
        Self { pid, socket: dir.join("qmp"), _keeper: None }
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process still runs.
    pub(super) fn is_alive(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let state = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        !state.is_empty() && !state.starts_with(['Z', 'X'])
    }

    /// Lets a machine that was saved go on.
    pub(super) fn go_on(&self) -> Result<()> {
        let mut qmp = self.qmp()?;
        let limit = Duration::from_mins(1);
        // It was stopped when it was saved, so that is how it comes back.
        qmp.await_status("query-status", "paused", &["inmigrate"], limit)?;
        qmp.ask("cont", &json!({})).map(drop)
    }

    /// Stops the machine and writes its RAM to `file`; QEMU ends.
    pub(super) fn save(&self, file: &Path) -> Result<()> {
        let mut qmp = self.qmp()?;
        qmp.ask("stop", &json!({}))?;
        qmp.ask("migrate-set-parameters", &json!({ "max-bandwidth": 1_u64 << 34 }))?;
        qmp.ask("migrate", &json!({ "uri": format!("file:{}", file.display()) }))?;
        let passing = ["none", "setup", "active", "device", "pre-switchover"];
        qmp.await_status("query-migrate", "completed", &passing, Duration::from_mins(2))?;
        // On the same connection: QEMU serves one at a time.
        qmp.ask("quit", &json!({})).map(drop)
    }

    /// What happens when the machine resets: it boots again, or QEMU ends, as it does
    /// unless told otherwise.
    pub(super) fn boots_again(&self, again: bool) -> Result<()> {
        let action = if again { "reset" } else { "shutdown" };
        self.qmp()?.ask("set-action", &json!({ "reboot": action })).map(drop)
    }

    /// Ends it at once.
    pub(super) fn quit(&self) -> Result<()> {
        self.qmp()?.ask("quit", &json!({})).map(drop)
    }

    /// The port on this machine behind which the guest's sshd is. QEMU chose
    /// it, so no two can want the same.
    pub(super) fn ssh_port(&self) -> Result<u16> {
        let command = json!({ "command-line": "info usernet" });
        let answer = self.qmp()?.ask("human-monitor-command", &command)?;
        let table = answer.as_str().unwrap_or_default();
        forwarded_port(table).ok_or_else(|| format!("no forwarded port in: {table}"))
    }

    fn qmp(&self) -> Result<Qmp> {
        Qmp::connect(&self.socket, || self.is_alive())
    }
}

/// All arguments that do not change from one machine to the next: RAM saved
/// with others cannot be resumed.
pub(super) fn signature() -> String {
    format!("{MACHINE:?} {:?}", Pace::Fast.system())
}

fn arguments(image: &Image, disk: Disk<'_>, pace: Pace, dir: &Path, socket: &Path) -> Vec<String> {
    let path = |path: PathBuf| path.display().to_string();
    let drive = match disk {
        Disk::Image => format!("file={},format=raw,snapshot=on", path(image.part("root.img"))),
        Disk::Layer(layer) => format!("file={},format=qcow2", path(layer.join("disk"))),
        Disk::Saved(layer) => format!("file={},format=qcow2,snapshot=on", path(layer.join("disk"))),
    };
    let (processors, cpu, cmdline) = pace.system();
    let mut all: Vec<String> =
        MACHINE.iter().chain(processors).map(|&arg| arg.to_owned()).collect();
    let mut add = |name: &str, value: String| all.extend([name.to_owned(), value]);
    add("-cpu", cpu.to_owned());
    add("-kernel", path(image.part("vmlinux")));
    add("-initrd", path(image.part("initrd")));
    add("-append", cmdline);
    add("-serial", format!("file:{}", path(dir.join("serial.log"))));
    add("-qmp", format!("unix:{},server=on,wait=off", socket.display()));
    add("-drive", format!("{drive},if=none,id=disk,cache=unsafe"));
    add("-device", "virtio-blk-pci,drive=disk".to_owned());
    let local = Ipv4Addr::LOCALHOST;
    add("-netdev", format!("user,id=net,restrict=on,hostfwd=tcp:{local}:0-:22"));
    add("-device", "virtio-net-pci,netdev=net,romfile=".to_owned());
    add("-device", "virtio-rng-pci".to_owned());
    if let Disk::Saved(layer) = disk {
        add("-incoming", format!("file:{}", path(layer.join("ram"))));
    }
    all
}

/// From a line `TCP[HOST_FORWARD] FD ADDRESS PORT GUEST 22 ...`.
fn forwarded_port(table: &str) -> Option<u16> {
    let line = table.lines().find(|line| line.contains("HOST_FORWARD"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarded_port_is_read_from_qemus_table() {
        let table = "Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   \
            Dest. Address  Port RecvQ SendQ\r\n  \
            TCP[HOST_FORWARD]  12       127.0.0.1 40507       10.0.2.15    22     0     0\r\n";
        assert_eq!(forwarded_port(table), Some(40507));
        assert_eq!(forwarded_port(""), None);
    }

    #[test]
    fn ram_that_was_saved_fits_a_machine_whose_processors_take_turns() {
        let at_once = |arg: &str| arg.replace("thread=single", "thread=multi");
        assert_eq!(BY_TURNS.map(at_once), FAST);
        let (_, cpu, cmdline) = Pace::Fast.system();
        assert_eq!(Pace::ByTurns.system(), (&BY_TURNS[..], cpu, cmdline));
    }

    #[test]
    fn what_makes_tests_quick_is_not_in_the_figures_of_a_kernel() {
        let (_, cpu, cmdline) = Pace::Counting.system();
        assert_eq!((cpu, cmdline.as_str()), (CPU, CMDLINE));
    }

    #[test]
    fn a_process_that_ended_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        let dead = Qemu::attach(child.id(), Path::new("/nonexistent"));
        child.wait().unwrap();
        assert!(!dead.is_alive());
        assert!(Qemu::attach(std::process::id(), Path::new("/nonexistent")).is_alive());
    }
}
