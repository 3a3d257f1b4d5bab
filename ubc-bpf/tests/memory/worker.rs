//! A process that makes the system calls it is told to.
#![allow(unsafe_code, reason = "raw system calls are what it is for")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::rounds::Storm;
use super::tmpfs;

/// The errno of a refused call.
pub(crate) type Errno = i32;

/// Runs in a cgroup until it is dropped.
pub(crate) struct Worker {
    child: Child,
    commands: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// A page of its memory, for strings and structures.
    pub(crate) buffer: i64,
}

impl Worker {
    /// Starts one that was made in `cgroup` by an exec, as a runtime does.
    pub(crate) fn start(cgroup: &Path) -> Worker {
        let me = std::env::current_exe().expect("a path");
        let procs = cgroup.join("cgroup.procs");
        let mut child = Command::new("/bin/sh")
            .args(["-c", "echo $$ > \"$0\" && exec \"$@\""])
            .arg(procs)
            .arg(me)
            .args(["--exact", "serve", "--ignored", "--nocapture", "--test-threads=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let commands = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut worker = Worker { child, commands, answers, buffer: 0 };
        worker.buffer = worker.answer().expect("an address");
        worker
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it answers to what it was told.
    pub(crate) fn answer(&mut self) -> Option<i64> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.answers.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(at) = line.find("= ") {
                return line[at + 2..].trim().parse().ok();
            }
        }
    }

    /// Gives a command; `None` if the process died of it.
    pub(crate) fn try_ask(&mut self, command: &str) -> Option<i64> {
        writeln!(self.commands, "{command}").ok()?;
        self.answer()
    }

    /// Gives a command and does not wait.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands, "{command}").expect("it lives");
    }

    pub(crate) fn ask(&mut self, command: &str) -> i64 {
        self.try_ask(command).unwrap_or_else(|| panic!("the worker died of `{command}`"))
    }

    /// A system call.
    pub(crate) fn call(&mut self, number: libc::c_long, args: &[i64]) -> Result<i64, Errno> {
        let args: Vec<String> = args.iter().map(ToString::to_string).collect();
        let answer = self.ask(&format!("call {number} {}", args.join(" ")));
        if (-4095..0).contains(&answer) {
            Err(i32::try_from(-answer).expect("an errno"))
        } else {
            Ok(answer)
        }
    }

    /// The signal that ended it.
    pub(crate) fn killed_by(&mut self) -> Option<i32> {
        use std::os::unix::process::ExitStatusExt as _;
        self.child.wait().expect("our child").signal()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What runs in the process: a test that is ignored otherwise.
pub(crate) fn serve() {
    let size = 4096;
    // SAFETY: a new mapping.
    let buffer = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    say(buffer as i64);
    let mut storm = None;
    for line in std::io::stdin().lines() {
        let line = line.expect("a line");
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (verb, rest) = words.split_first().expect("a verb");
        if *verb == "tmpfs" {
            say(tmpfs::act(rest));
            continue;
        }
        let args: Vec<i64> = rest.iter().map(|word| word.parse().expect("a number")).collect();
        say(match *verb {
            "gather" => {
                storm = Some(Storm::gather(args[0], args[1], args.get(2).copied().unwrap_or(-1)));
                0
            }
            "rage" => storm.take().expect("gathered").rage(),
            _ => execute(verb, &args),
        });
    }
}

fn say(answer: i64) {
    println!("= {answer}");
}

fn errno() -> i64 {
    -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn execute(verb: &str, args: &[i64]) -> i64 {
    match verb {
        "call" => {
            let mut all = [0; 7];
            all[..args.len()].copy_from_slice(args);
            // SAFETY: the test that sends it chooses calls and addresses that
            // leave the memory of this process's own code alone.
            let answer =
                unsafe { libc::syscall(all[0], all[1], all[2], all[3], all[4], all[5], all[6]) };
            if answer == -1 { errno() } else { answer }
        }
        "touch" => {
            let mut at = args[0];
            while at < args[0] + args[1] {
                // SAFETY: memory that the test mapped, or that kills us.
                unsafe { (at as *mut u8).write_volatile(1) };
                at += 4096;
            }
            0
        }
        "name" => {
            // SAFETY: the page that was mapped for this.
            unsafe { (args[0] as *mut [u8; 4]).write(*b"ubc\0") };
            0
        }
        "fork" => fork(args.first().copied()),
        "open" => open(args[0], args[1]),
        "spawn" => spawn(),
        _ => panic!("{verb}?"),
    }
}

/// A child that stays until we are gone, in the cgroup of a descriptor.
fn fork(cgroup: Option<i64>) -> i64 {
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    // struct clone_args: flags .. exit_signal (4) .. cgroup (10)
    let mut args = [0u64; 11];
    args[4] = libc::SIGCHLD.unsigned_abs().into();
    if let Some(cgroup) = cgroup {
        args[0] = CLONE_INTO_CGROUP;
        args[10] = cgroup.unsigned_abs();
    }
    // SAFETY: as fork: the child makes system calls only.
    unsafe {
        match libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) {
            -1 => errno(),
            0 => {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                loop {
                    libc::pause();
                }
            }
            child => child,
        }
    }
}

/// Opens a file that another process has open.
fn open(pid: i64, fd: i64) -> i64 {
    use std::os::fd::IntoRawFd as _;
    let path = format!("/proc/{pid}/fd/{fd}");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path);
    // A directory
    match file.or_else(|_| std::fs::File::open(&path)) {
        Ok(file) => i64::from(file.into_raw_fd()),
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}

/// A program that ends at once; its status, an errno, or 1000 and the signal.
fn spawn() -> i64 {
    use std::os::unix::process::ExitStatusExt as _;
    match Command::new("/bin/true").status() {
        Ok(status) => i64::from(status.code().unwrap_or(1000 + status.signal().unwrap_or(0))),
        Err(error) => -i64::from(error.raw_os_error().unwrap_or(libc::EIO)),
    }
}
