//! What the containers of the runtimes consist of.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// What a container does: three processes.
const INIT: &str = "#!/bin/sh\nsleep 600 &\nsleep 600 &\nwait\n";

/// A root file system with a busybox in it.
pub(crate) fn rootfs(dir: &Path) -> PathBuf {
    let root = dir.join("rootfs");
    for name in ["bin", "dev", "etc", "proc", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
    for applet in ["sh", "sleep", "cat", "test", "grep", "ls", "stat"] {
        symlink("busybox", root.join("bin").join(applet)).unwrap();
    }
    let init = root.join("init");
    fs::write(&init, INIT).unwrap();
    fs::set_permissions(&init, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir, Permissions::from_mode(0o755)).unwrap();
    root
}
