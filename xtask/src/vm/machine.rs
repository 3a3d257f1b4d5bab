//! A running machine: what the tests and the verbs use.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::run::Result;

use super::guest::Guest;
use super::image::{self, Image};
use super::qemu::{Disk, Life, Pace, Qemu};
use super::ssh::{self, Ssh};
use super::{process, quote, say, scratch, snapshot, tail};

/// A cold boot takes 20 s on an idle machine.
const BOOT: Duration = Duration::from_mins(5);
/// One that counts instructions takes twice as long, and has one processor.
const COUNTING: Duration = Duration::from_mins(20);
/// A resume takes 2 s.
const RESUME: Duration = Duration::from_mins(1);
/// The largest file to copy in takes seconds.
const COPY: Duration = Duration::from_mins(5);

/// Set when a snapshot did not resume: said once, and not tried again.
static COLD: AtomicBool = AtomicBool::new(false);

/// A guest that runs. Dropped, it is gone, with all that was done to it.
pub(crate) struct Machine {
    guest: Guest,
    qemu: Qemu,
    ssh: Ssh,
    dir: PathBuf,
    /// Removes `dir` in the end, unless the machine is kept.
    _temp: Option<TempDir>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Its exit status; 128 and more for a signal, as the guest's shell has it.
    pub(crate) status: i32,
    /// What it wrote, both streams each in its own order.
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    /// A fresh machine: booted, idle, its clock right, nothing done to it yet.
    /// Builds what is missing first.
    pub(crate) fn resume(guest: Guest) -> Result<Self> {
        Self::start(&image::ensure(guest)?, Pace::Fast, Life::Owned)
    }

    /// The same machine, whose processors take turns.
    pub(crate) fn by_turns(guest: Guest) -> Result<Self> {
        Self::start(&image::ensure(guest)?, Pace::ByTurns, Life::Owned)
    }

    /// One from an image, with a life of its own if wanted.
    pub(super) fn start(image: &Image, pace: Pace, life: Life) -> Result<Self> {
        if !COLD.load(Ordering::Relaxed) {
            let snapshot = snapshot::ensure(image)?;
            match Self::launch_at(image, Disk::Saved(&snapshot), pace, life) {
                Ok(machine) => return Ok(machine),
                Err(error) => {
                    COLD.store(true, Ordering::Relaxed);
                    say(&format!(
                        "WARNING: the saved {} does not resume; booting it cold, which takes \
                         ten times as long. It will be saved anew next time.\n{error}",
                        image.guest()
                    ));
                    snapshot::discard(&snapshot);
                }
            }
        }
        Self::launch_at(image, Disk::Image, pace, life)
    }

    /// A machine whose clock counts instructions, booted: only a machine that
    /// ran that way could be resumed, and this takes a minute.
    pub(crate) fn counting(guest: Guest) -> Result<Self> {
        Self::launch_at(&image::ensure(guest)?, Disk::Image, Pace::Counting, Life::Owned)
    }

    /// One that may be saved.
    pub(super) fn launch(image: &Image, disk: Disk<'_>, life: Life) -> Result<Self> {
        Self::launch_at(image, disk, Pace::Fast, life)
    }

    /// Starts QEMU and waits until commands can be run.
    fn launch_at(image: &Image, disk: Disk<'_>, pace: Pace, life: Life) -> Result<Self> {
        let (dir, temp) = match life {
            Life::Owned => {
                let temp = scratch::owned()?;
                (temp.path().to_owned(), Some(temp))
            }
            Life::Kept => (scratch::kept()?, None),
        };
        let qemu = Qemu::start(image, disk, pace, &dir, life)?;
        let ssh = Ssh::new(0, image.part("key"), &dir);
        let mut machine = Self { guest: image.guest(), qemu, ssh, dir, _temp: temp };
        let ready = machine.get_ready(image, disk, pace);
        match ready {
            Ok(()) => Ok(machine),
            Err(error) => {
                let report = machine.report(&error);
                if life == Life::Kept {
                    machine.stop();
                }
                Err(report)
            }
        }
    }

    fn get_ready(&mut self, image: &Image, disk: Disk<'_>, pace: Pace) -> Result<()> {
        let mut limit = match pace {
            Pace::Fast | Pace::ByTurns => BOOT,
            Pace::Counting => COUNTING,
        };
        if let Disk::Saved(_) = disk {
            self.qemu.go_on()?;
            limit = RESUME;
        }
        self.ssh = Ssh::new(self.qemu.ssh_port()?, image.part("key"), &self.dir);
        self.ssh.connect(limit, || self.watch())?;
        // It still has the time at which it was saved.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = format!("@{}.{:09}", now.as_secs(), now.subsec_nanos());
        let outcome = self.run(&["date", "--set", &date], RESUME)?;
        if outcome.status == 0 { Ok(()) } else { Err(format!("the clock: {outcome:?}")) }
    }

    /// One that an earlier process left running.
    pub(super) fn attach(guest: Guest, qemu: Qemu, ssh: Ssh, dir: PathBuf) -> Self {
        Self { guest, qemu, ssh, dir, _temp: None }
    }

    /// Copies a file or the content of a directory to that path, with modes.
    pub(crate) fn push(&self, local: &Path, remote: &str) -> Result<()> {
        let failed = |error: io::Error| format!("{}: {error}", local.display());
        let meta = fs::metadata(local).map_err(failed)?;
        let to = quote::word(remote);
        // Compressed: decryption is what takes long in an emulated guest.
        let (mut source, script) = if meta.is_dir() {
            let mut tar = Command::new("tar");
            tar.arg("-C").arg(local).args(["-I", "zstd -1", "-cf", "-", "."]);
            (tar, format!("mkdir -p {to} && tar -C {to} -I zstd -xf -"))
        } else {
            let mode = meta.permissions().mode() & 0o7777;
            let mut zstd = Command::new("zstd");
            zstd.args(["-1", "-q", "-c", "--"]).arg(local);
            let write = format!("zstd -dqc > {to} && chmod {mode:o} {to}");
            (zstd, format!("mkdir -p \"$(dirname {to})\" && rm -f {to} && {write}"))
        };
        let mut source = ssh::spawn(source.stdin(Stdio::null()).stdout(Stdio::piped()))?;
        let stdin = source.stdout.take().map_or(Stdio::null(), Stdio::from);
        let mut command = self.ssh.script(&script);
        let outcome = self.capture(command.stdin(stdin), COPY);
        // Its reader is gone by now, so it ends too.
        drop(command);
        let read = process::finish(&mut source, Duration::from_secs(5), || Ok(()));
        if outcome.is_ok() && !read.as_ref().is_ok_and(ExitStatus::success) {
            return Err(format!("cannot read {}: {read:?}", local.display()));
        }
        match outcome? {
            Outcome { status: 0, .. } => Ok(()),
            Outcome { stderr, .. } => Err(format!("push to {remote}: {stderr}")),
        }
    }

    /// Reboots it, as its administrator would, and waits until commands can be run. What
    /// was written to its disk is there again, until the machine is dropped.
    pub(crate) fn reboot(&self) -> Result<()> {
        let before = self.boot()?;
        self.qemu.boots_again(true)?;
        // It may be gone before it has said that it will be.
        let _ = self.run(&["systemctl", "--no-block", "reboot"], RESUME);
        loop {
            self.ssh.close();
            self.ssh.connect(BOOT, || self.watch()).map_err(|error| self.report(&error))?;
            // On its way down it lets us in, too.
            if self.boot().is_ok_and(|now| now != before) {
                break;
            }
            thread::sleep(Duration::from_millis(200));
        }
        self.qemu.boots_again(false)
    }

    /// What is different after each boot.
    fn boot(&self) -> Result<String> {
        let outcome = self.run(&["cat", "/proc/sys/kernel/random/boot_id"], RESUME)?;
        if outcome.status == 0 { Ok(outcome.stdout) } else { Err(outcome.stderr) }
    }

    /// Runs a command, its words as they are, and waits for its end. An error
    /// is the machine's, not the command's: it died, or time is up.
    pub(crate) fn run(&self, words: &[&str], limit: Duration) -> Result<Outcome> {
        self.capture(&mut self.ssh.words(words), limit)
    }

    /// The same with its output going where ours goes; returns its status.
    pub(super) fn pass_through(&self, words: &[&str], limit: Duration) -> Result<i32> {
        let mut child = ssh::spawn(&mut self.ssh.words(words))?;
        let status = process::finish(&mut child, limit, || self.watch());
        self.status(status.map_err(|error| self.report(&error))?)
    }

    /// A prompt, until it is left; returns the status of the shell.
    pub(super) fn shell(&self) -> Result<i32> {
        if io::stdin().is_terminal() {
            say(&format!("{}; exit to leave", self.guest));
        }
        let mut child = ssh::spawn(&mut self.ssh.prompt())?;
        let status = process::finish(&mut child, Duration::MAX, || self.watch());
        self.status(status.map_err(|error| self.report(&error))?)
    }

    /// Closes the connection and writes the RAM to a file; the machine ends.
    pub(super) fn save(self, file: &Path) -> Result<()> {
        self.ssh.close();
        // The guest's sshd notices; what is saved should be idle.
        thread::sleep(Duration::from_millis(500));
        self.qemu.save(file).map_err(|error| self.report(&error))
    }

    /// Ends a kept machine.
    pub(super) fn stop(self) {
        self.ssh.close();
        // It may be dead already.
        let _ = self.qemu.quit();
        let _ = fs::remove_dir_all(&self.dir);
    }

    /// What another process needs to attach: process, port, directory.
    pub(super) fn address(&self) -> (u32, u16, &Path) {
        (self.qemu.pid(), self.ssh.port(), &self.dir)
    }

    fn capture(&self, command: &mut Command, limit: Duration) -> Result<Outcome> {
        let mut child = ssh::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let out = thread::spawn(move || read(out));
        let err = thread::spawn(move || read(err));
        let status = process::finish(&mut child, limit, || self.watch());
        let stdout = out.join().unwrap_or_default();
        let stderr = err.join().unwrap_or_default();
        match status {
            Ok(status) => Ok(Outcome { status: self.status(status)?, stdout, stderr }),
            Err(error) => Err(self.report(&format!("{error}; so far it said:\n{stdout}{stderr}"))),
        }
    }

    /// The command's status, if it is the command's.
    fn status(&self, status: ExitStatus) -> Result<i32> {
        match status.code() {
            Some(255) if !self.ssh.is_connected() => Err(self.report("the connection broke")),
            Some(code) => Ok(code),
            None => Err(self.report(&format!("ssh: {status}"))),
        }
    }

    fn watch(&self) -> Result<()> {
        if self.qemu.is_alive() { Ok(()) } else { Err("QEMU ended".to_owned()) }
    }

    /// An error with what the machine itself last said.
    fn report(&self, error: &str) -> String {
        format!(
            "{}: {error}\n-- its serial console:\n{}\n-- QEMU:\n{}",
            self.guest,
            tail::of_file(&self.dir.join("serial.log"), 40),
            tail::of_file(&self.dir.join("qemu.log"), 10),
        )
    }
}

fn read(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What came before an error is still worth showing.
        let _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
