//! lxcfs, where it is installed: one of its own, in a scratch directory.

use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::mount::{UnmountFlags, unmount};

/// A running lxcfs; unmounted and gone on drop.
#[derive(Debug)]
pub struct Lxcfs {
    process: Child,
    dir: tempfile::TempDir,
}

impl Lxcfs {
    /// Starts one. `None` where the program is not installed.
    ///
    /// # Errors
    ///
    /// It does not start, or does not mount.
    pub fn start() -> io::Result<Option<Lxcfs>> {
        let dir = tempfile::Builder::new().prefix("ubc-lxcfs-").tempdir()?;
        let (mountpoint, pidfile) = (dir.path().join("mnt"), dir.path().join("pid"));
        std::fs::create_dir(&mountpoint)?;
        let spawned = Command::new("lxcfs")
            .args(["--foreground", "--pidfile"])
            .arg(&pidfile)
            .arg(&mountpoint)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match spawned {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            process => process?,
        };
        let mut lxcfs = Lxcfs { process, dir };
        let started = Instant::now();
        while std::fs::read(lxcfs.meminfo()).is_err() {
            if let Some(status) = lxcfs.process.try_wait()? {
                return Err(io::Error::other(format!("lxcfs ended: {status}")));
            }
            if started.elapsed() > Duration::from_secs(10) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(lxcfs))
    }

    /// Its /proc/meminfo.
    pub fn meminfo(&self) -> PathBuf {
        self.dir.path().join("mnt/proc/meminfo")
    }
}

impl Drop for Lxcfs {
    fn drop(&mut self) {
        // First the mount: then it ends by itself, and the directory goes.
        let _ = unmount(self.dir.path().join("mnt"), UnmountFlags::DETACH);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
