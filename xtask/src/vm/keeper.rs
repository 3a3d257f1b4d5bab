//! A child process that ends with its owner, whatever ends that.

use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};

use crate::run::{Result, shown};

/// Keeps a child: it is killed when this is dropped.
///
/// A command that goes by way of [`mortal`] is killed also when this process
/// is. The kernel does that once the *thread* that started the child ends, so
/// here a thread of its own does, which lives exactly as long as the keeper.
pub(super) struct Keeper {
    pid: u32,
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The command for a program that the kernel kills with its parent.
pub(super) fn mortal(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

impl Keeper {
    /// Starts the child.
    pub(super) fn spawn(mut command: Command) -> Result<Self> {
        let name = shown(&command);
        let (started, pid) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = thread::spawn(move || match command.spawn() {
            Ok(mut child) => {
                // Nobody listens only if our maker is gone, and then so are we.
                let _ = started.send(Ok(child.id()));
                // Returns when the other side is dropped.
                let _ = ended.recv();
                let _ = child.kill();
                let _ = child.wait();
            }
            Err(error) => drop(started.send(Err(format!("{name}: {error}")))),
        });
        let pid = pid.recv().map_err(|error| format!("starting a process: {error}"))??;
        Ok(Self { pid, end: Some(end), thread: Some(thread) })
    }

    /// The child's process id.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It has only killed and waited; nothing is lost if it panicked.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn exists(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn the_child_outlives_the_thread_that_asked_but_not_its_keeper() {
        let start = || {
            let mut command = mortal("sleep");
            command.arg("60");
            Keeper::spawn(command).unwrap()
        };
        let keeper = thread::spawn(start).join().unwrap();
        let pid = keeper.pid();
        thread::sleep(std::time::Duration::from_millis(100));
        assert!(exists(pid), "it died with the wrong thread");
        drop(keeper);
        assert!(!exists(pid), "it is still there");
    }

    #[test]
    fn a_program_that_is_absent_is_an_error() {
        let error = Keeper::spawn(Command::new("/nonexistent/program")).err().unwrap();
        assert!(error.contains("/nonexistent/program"), "{error}");
    }
}
