//! What is done by others meanwhile.

use std::fs::File;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// A program that counts what it does.
pub(crate) struct Work {
    pub(crate) file: PathBuf,
    /// None: it runs in a container, and ends with that.
    pub(crate) process: Option<Child>,
}

impl Work {
    /// How often it has done it.
    pub(crate) fn done(&self) -> u64 {
        let failed = std::fs::read_to_string(self.file.with_extension("failed"));
        assert!(failed.is_err(), "{}: {failed:?}", self.file.display());
        std::fs::read_to_string(&self.file).unwrap_or_default().parse().unwrap_or(0)
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// What an administrator does: a program, files, sockets, memory, a terminal.
pub(crate) fn host_works(dir: &Path) {
    assert!(Command::new("true").status().unwrap().success());
    let files: Vec<File> = (0..300).map(|_| File::open("/dev/null").unwrap()).collect();
    let sockets: Vec<UdpSocket> =
        (0..60).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
    let terminals: Vec<File> = (0..8).map(|_| File::open("/dev/ptmx").unwrap()).collect();
    let locks: Vec<File> = (0..40)
        .map(|at| {
            let file = File::create(dir.join(format!("lock-{at}"))).unwrap();
            file.try_lock().unwrap();
            file
        })
        .collect();
    let memory = vec![7_u8; 4 << 20];
    assert!(memory.iter().all(|byte| *byte == 7));
    drop((files, sockets, terminals, locks));
}
