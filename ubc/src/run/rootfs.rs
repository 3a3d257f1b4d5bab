//! The root file system of a container that was given none: busybox.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Failure, Kind, Result};

const DIRS: [&str; 9] = ["bin", "dev", "etc", "proc", "root", "run", "sys", "tmp", "var"];

const FILES: [(&str, &str); 2] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
];

/// Makes a minimal root file system of a static busybox in `root`.
pub(super) fn make(root: &Path) -> Result<()> {
    let busybox = find()?;
    build(root, &busybox).map_err(|error| {
        Failure::system(format!("cannot make a root file system in {}: {error}", root.display()))
    })?;
    // A busybox that needs libraries would only fail inside, and obscurely.
    let works = quiet(Command::new("chroot").arg(root).args(["/bin/busybox", "true"])).status();
    if works.is_ok_and(|status| status.success()) {
        Ok(())
    } else {
        Err(missing(&format!("{} is not static", busybox.display())))
    }
}

fn missing(why: &str) -> Failure {
    let message = format!(
        "{why}; a container without --rootfs needs a static busybox \
         (Debian: apt-get install busybox-static)"
    );
    Failure::new(Kind::Unavailable, message)
}

fn find() -> Result<PathBuf> {
    ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox-static", "/sbin/busybox"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.is_file())
        .ok_or_else(|| missing("no busybox here"))
}

fn build(root: &Path, busybox: &Path) -> io::Result<()> {
    for dir in DIRS {
        fs::create_dir_all(root.join(dir))?;
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    for (path, text) in FILES {
        fs::write(root.join(path), text)?;
    }
    let copy = root.join("bin/busybox");
    fs::copy(busybox, &copy)?;
    let applets = quiet(Command::new(busybox).arg("--list")).stdout(Stdio::piped()).output()?;
    for applet in String::from_utf8_lossy(&applets.stdout).lines() {
        let plain = applet.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if plain && applet != "busybox" && !applet.is_empty() {
            symlink("busybox", root.join("bin").join(applet))?;
        }
    }
    Ok(())
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
