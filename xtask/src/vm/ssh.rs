//! Commands in the guest, over one shared connection.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Result, shown};

use super::process;
use super::quote;

/// How the way in is opened: as nobody else's configuration says, silently,
/// to a host that is new each time.
const OPTIONS: [&str; 16] = [
    "-F",
    "/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "BatchMode=yes",
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "ServerAliveInterval=20",
    "-o",
    "ServerAliveCountMax=6",
    // The cheapest to emulate, of those both ends have.
    "-oCiphers=aes128-ctr",
    "-oMACs=umac-64-etm@openssh.com",
];
/// One attempt; emulated and busy, the guest may need that long for a handshake.
const ATTEMPT: Duration = Duration::from_secs(15);

/// A connection to one guest.
pub(super) struct Ssh {
    port: u16,
    key: PathBuf,
    dir: PathBuf,
}

impl Ssh {
    /// To the sshd behind `port`, with the connection's socket in `dir`.
    pub(super) fn new(port: u16, key: PathBuf, dir: &Path) -> Self {
        Self { port, key, dir: dir.to_owned() }
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Connects, trying again until the guest is up.
    pub(super) fn connect(&self, limit: Duration, alive: impl Fn() -> Result<()>) -> Result<()> {
        let begin = Instant::now();
        let log = self.dir.join("ssh.log");
        loop {
            let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
            // It returns once connected and goes on in the background, until QEMU ends.
            let mut command = self.command(&["-M", "-N", "-f"]);
            command.args(["-o", "ConnectTimeout=10"]).arg("guest");
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
            let mut child = spawn(&mut command)?;
            match process::finish(&mut child, ATTEMPT, &alive) {
                Ok(status) if status.success() => return Ok(()),
                _ => alive()?,
            }
            if begin.elapsed() > limit {
                let said = super::tail::of_file(&log, 5);
                return Err(format!("no ssh after {} s: {said}", limit.as_secs()));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether the connection still stands: ssh's own failures look like a
    /// command that ended with 255.
    pub(super) fn is_connected(&self) -> bool {
        let mut command = self.command(&["-O", "check", "guest"]);
        quiet(&mut command).status().is_ok_and(|status| status.success())
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        // If it is gone already, so much the better.
        let _ = quiet(&mut self.command(&["-O", "exit", "guest"])).status();
    }

    /// Ssh with these words to run, each as it is.
    pub(super) fn words(&self, words: &[&str]) -> Command {
        self.script(&quote::command(words.iter().copied()))
    }

    /// Ssh with a line for the guest's shell.
    pub(super) fn script(&self, line: &str) -> Command {
        let mut command = self.command(&["-T", "guest", "--"]);
        command.arg(line).stdin(Stdio::null());
        command
    }

    /// Ssh with a prompt, if there is a terminal to prompt on.
    pub(super) fn prompt(&self) -> Command {
        self.command(&["-t", "guest"])
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command.args(OPTIONS).args(["-o", "HostName=127.0.0.1", "-l", "root"]);
        command.args(["-p", &self.port.to_string()]);
        command.arg("-i").arg(&self.key).arg("-S").arg(self.dir.join("ssh"));
        command.args(args);
        command
    }
}

/// Starts it; the error names the program.
pub(super) fn spawn(command: &mut Command) -> Result<Child> {
    command.spawn().map_err(|error| format!("{}: {error}", shown(command)))
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
