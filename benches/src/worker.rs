//! A process of its own that does what it is told, in whatever cgroup it is put.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use ubc_peers::Syscalls;

/// What makes the program be one.
pub const VERB: &str = "worker";

/// One to tell what to do; it ends when this is dropped.
pub struct Worker {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn start() -> io::Result<Worker> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg(VERB).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        let stdin = child.stdin.take();
        Ok(Worker { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Has it do something so many times; how long that took.
    ///
    /// # Errors
    ///
    /// It could not, or has ended.
    pub fn run(&mut self, what: Syscalls, times: u64) -> io::Result<Duration> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(stdin, "{times} {}", what.name())?;
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        let nanos = line
            .trim()
            .parse()
            .map_err(|_| io::Error::other(format!("{}: the worker said {line:?}", what.name())))?;
        Ok(Duration::from_nanos(nanos))
    }

    /// The same, as nanoseconds for one.
    ///
    /// # Errors
    ///
    /// As [`Worker::run`].
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    pub fn each(&mut self, what: Syscalls, times: u64) -> io::Result<f64> {
        Ok(self.run(what, times)?.as_secs_f64() * 1e9 / times as f64)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}

/// Does what it is told until its input ends.
///
/// # Errors
///
/// What it is told makes no sense, or the kernel refuses it.
pub fn work() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let (times, name) = line.split_once(' ').ok_or("no count")?;
        let what = Syscalls::named(name).ok_or_else(|| format!("{name} is unknown"))?;
        println!("{}", what.run(times.parse()?)?.as_nanos());
    }
    Ok(())
}
