//! The guest's root file system: a Debian made by mmdebstrap, then set up to
//! boot fast, let us in and do nothing by itself.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::run::{Result, shown};

use super::guest::Guest;
use super::{apt, kernel, process};

/// Options of mmdebstrap: root makes a plain directory; nothing optional, no
/// manuals, and no initramfs of Debian's own.
const MMDEBSTRAP: [&str; 10] = [
    "--mode=root",
    "--variant=minbase",
    "--format=directory",
    "--aptopt=APT::Install-Recommends \"false\"",
    "--aptopt=Acquire::Check-Valid-Until \"false\"",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=force-unsafe-io",
    "--setup-hook=mkdir -p \"$1/etc\" && printf 'do_symlinks = no\\ndo_initrd = no\\n' > \"$1/etc/kernel-img.conf\"",
];

/// Files we write. The machine id is fixed: an empty one would make each boot a first boot.
const FILES: [(&str, &str); 7] = [
    ("etc/hostname", "ubc-vm\n"),
    ("etc/hosts", "127.0.0.1 localhost ubc-vm\n"),
    ("etc/fstab", "/dev/vda / ext4 rw,noatime 0 0\n"),
    ("etc/machine-id", "7b6f3d1e5a924c0d8e4f2a6b9c1d3e5f\n"),
    ("etc/ssh/sshd_config.d/vm.conf", SSHD),
    ("etc/systemd/network/10-vm.network", NETWORK),
    ("etc/systemd/journald.conf.d/vm.conf", "[Journal]\nStorage=volatile\n"),
];
const SSHD: &str = "PermitRootLogin yes\nUseDNS no\nUsePAM no\nPrintMotd no\nMaxSessions 64\n\
    SetEnv PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8\n";
const NETWORK: &str = "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n";

/// Generators that fail here, and say so on the console.
const NO_GENERATORS: [&str; 1] = ["systemd-ssh-generator"];
/// Units that only cost time, or would do things at times of their own.
const MASKED: [&str; 18] = [
    "apparmor.service",
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "ldconfig.service",
    "logrotate.timer",
    "man-db.timer",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-networkd-wait-online.service",
    "systemd-pcrphase.service",
    "systemd-timesyncd.service",
    "systemd-update-done.service",
];
const ENABLED: [&str; 2] = ["systemd-networkd.service", "ssh.service"];
const TARGET: &str = "/usr/lib/systemd/system/multi-user.target";

/// All of the above as text, for the recipe.
pub(super) fn steps() -> String {
    format!(
        "{MMDEBSTRAP:#?}\n{FILES:#?}\n{MASKED:#?}\n{NO_GENERATORS:#?}\n{ENABLED:#?}\n{TARGET}\n{}",
        kernel::INIT
    )
}

/// Makes the file system in `root`; whoever has `key` may log in.
pub(super) fn build(guest: Guest, root: &Path, key: &Path, log: &Path) -> Result<()> {
    debootstrap(guest, root, log)?;
    for (name, text) in FILES {
        write(&root.join(name), text)?;
    }
    let keys = root.join("root/.ssh/authorized_keys");
    write(&keys, &fs::read_to_string(key).map_err(|error| format!("{}: {error}", key.display()))?)?;
    let ours_only = fs::Permissions::from_mode(0o700);
    fs::set_permissions(root.join("root/.ssh"), ours_only).map_err(|error| error.to_string())?;
    for unit in MASKED {
        link("/dev/null", &root.join("etc/systemd/system").join(unit))?;
    }
    let generators = root.join("etc/systemd/system-generators");
    fs::create_dir_all(&generators)
        .map_err(|error| format!("{}: {error}", generators.display()))?;
    for name in NO_GENERATORS {
        link("/dev/null", &generators.join(name))?;
    }
    link(TARGET, &root.join("etc/systemd/system/default.target"))?;
    quietly(in_guest(root).args(["systemctl", "--quiet", "enable"]).args(ENABLED))?;
    if !guest.disabled().is_empty() {
        quietly(in_guest(root).args(["systemctl", "--quiet", "disable"]).args(guest.disabled()))?;
    }
    // Without a password, rather than locked: sshd refuses locked accounts.
    quietly(in_guest(root).args(["passwd", "--quiet", "--delete", "root"]))
}

/// The version of the kernel that was installed.
pub(super) fn kernel_version(root: &Path) -> Result<String> {
    let dir = root.join("usr/lib/modules");
    let entries = fs::read_dir(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.next().ok_or_else(|| format!("{}: no kernel", dir.display()))
}

fn debootstrap(guest: Guest, root: &Path, log: &Path) -> Result<()> {
    let uri = apt::source()?.uri;
    let mut command = Command::new("mmdebstrap");
    command.args(MMDEBSTRAP);
    command.args(apt::proxies().iter().map(|line| format!("--aptopt={line}")));
    command.arg(format!("--include={}", guest.packages().join(",")));
    let suite = guest.suite();
    command.arg(suite).arg(root).arg(format!("deb {uri} {suite} main"));
    let what = format!("{guest}: downloading and installing {} packages", guest.packages().len());
    process::long(&what, &mut command, log, Duration::from_mins(30))
}

fn in_guest(root: &Path) -> Command {
    let mut command = Command::new("chroot");
    // Our own environment means nothing in there.
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg(root);
    command
}

/// What it says matters only if it fails: systemctl warns of the missing /proc.
fn quietly(command: &mut Command) -> Result<()> {
    let out = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    let said = String::from_utf8_lossy(&out.stderr);
    if out.status.success() { Ok(()) } else { Err(format!("{}: {said}", shown(command))) }
}

fn write(path: &Path, text: &str) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn link(target: &str, path: &Path) -> Result<()> {
    // A package may have made one already.
    let _ = fs::remove_file(path);
    symlink(target, path).map_err(|error| format!("{}: {error}", path.display()))
}
