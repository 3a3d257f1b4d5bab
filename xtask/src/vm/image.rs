//! An image: everything a guest boots from, built once per recipe.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::{Result, check};

use super::guest::Guest;
use super::{cache, host, kernel, process, recipe, rootfs, say};

/// Sparse: only what is written takes space.
const SIZE: &str = "8G";

/// A built image.
pub(super) struct Image {
    guest: Guest,
    dir: PathBuf,
    /// The version of the QEMU that is going to boot it.
    qemu: String,
}

impl Image {
    /// Which guest it is.
    pub(super) fn guest(&self) -> Guest {
        self.guest
    }

    /// Where its parts are.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// QEMU's version here.
    pub(super) fn qemu(&self) -> &str {
        &self.qemu
    }

    /// One part: `vmlinux`, `initrd`, `root.img`, `key`.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// The image of a guest, built now if there is none of this recipe.
pub(super) fn ensure(guest: Guest) -> Result<Image> {
    let qemu = host::for_run()?;
    let text = recipe::text(guest);
    let dir = cache::dir()?.join(format!("{guest}-{}", recipe::key(&text)));
    if !dir.is_dir() {
        let _lock = cache::lock(guest.suite())?;
        // Perhaps the one we waited for built it.
        if !dir.is_dir() {
            host::for_build()?;
            cache::prune(&cache::dir()?, &format!("{guest}-"))?;
            build(guest, &text, &dir)?;
        }
    }
    cache::touch(&dir);
    Ok(Image { guest, dir, qemu })
}

/// Builds beside the final place, so that what is there is always whole.
fn build(guest: Guest, recipe: &str, dir: &Path) -> Result<()> {
    let begin = Instant::now();
    let part = dir.with_extension("part");
    let failed = |error| format!("{}: {error}", part.display());
    fs::create_dir_all(&part).map_err(failed)?;
    fs::write(part.join("recipe"), recipe).map_err(failed)?;
    let root = part.join("root");
    let log = part.join("build.log");

    let key = part.join("key");
    check(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?;
    rootfs::build(guest, &root, &key.with_extension("pub"), &log)?;

    say(&format!("{guest}: unpacking the kernel"));
    let version = rootfs::kernel_version(&root)?;
    let vmlinux = kernel::unpack(&root.join(format!("boot/vmlinuz-{version}")))?;
    fs::write(part.join("vmlinux"), vmlinux).map_err(failed)?;
    fs::write(part.join("initrd"), kernel::initrd(&root, &version)?).map_err(failed)?;

    // No quota features here: the initrd has no module for them, and the
    // mount would fail. Tests that want quota make a loop device.
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.args(["-q", "-t", "ext4", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard"]);
    mke2fs.arg("-d").arg(&root).arg(part.join("root.img")).arg(SIZE);
    process::long(
        &format!("{guest}: making the disk"),
        &mut mke2fs,
        &log,
        Duration::from_mins(10),
    )?;

    fs::remove_dir_all(&root).map_err(failed)?;
    fs::rename(&part, dir).map_err(failed)?;
    say(&format!("{guest}: built with Linux {version} in {} s", begin.elapsed().as_secs()));
    Ok(())
}
