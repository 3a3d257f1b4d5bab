//! The kernel as an uncompressed ELF file, and the small initrd it boots with.
//!
//! Booted directly (PVH) it skips its own decompression, which emulated takes
//! seconds.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::run::{Result, shown};

use super::cpio::Archive;

/// What the kernel must find before it can mount the root file system.
const MODULES: [&str; 3] = ["virtio_pci", "virtio_blk", "ext4"];

/// The first program: load the modules, mount the root, hand over.
pub(super) const INIT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mount -t devtmpfs dev /dev
for m in $($b cat /modules/order); do $b insmod /modules/$m || echo "initrd: no $m"; done
n=0
while [ ! -b /dev/vda ] && [ $n -lt 500 ]; do $b usleep 10000; n=$((n+1)); done
if ! $b mount -t ext4 -o rw,noatime /dev/vda /new; then
    echo "initrd: cannot mount the root file system"
    exec $b poweroff -f
fi
$b mount --move /dev /new/dev
exec $b switch_root /new /sbin/init
"#;

/// The ELF file inside a vmlinuz.
pub(super) fn unpack(vmlinuz: &Path) -> Result<Vec<u8>> {
    let image = fs::read(vmlinuz).map_err(|error| format!("{}: {error}", vmlinuz.display()))?;
    let wrong = |what: &str| format!("{}: {what}", vmlinuz.display());
    let payload = payload(&image).ok_or_else(|| wrong("not a bzImage"))?;
    // All but gzip, whose format has it already, are followed by the size.
    let (packed, size) = payload.split_at(payload.len() - 4);
    let elf = if packed.starts_with(b"\x28\xb5\x2f\xfd") {
        pipe(Command::new("zstd").arg("-dcq"), packed)?
    } else if packed.starts_with(b"\xfd7zXZ\0") {
        pipe(Command::new("xz").args(["-dcq", "--single-stream"]), packed)?
    } else if packed.starts_with(b"\x02\x21\x4c\x18") {
        pipe(Command::new("lz4").arg("-dcq"), packed)?
    } else if packed.starts_with(b"\x1f\x8b") {
        pipe(Command::new("gzip").arg("-dcq"), payload)?
    } else {
        return Err(wrong("compressed in a way we do not know"));
    };
    let expected = u32::from_le_bytes([size[0], size[1], size[2], size[3]]);
    if !elf.starts_with(b"\x7fELF") || u32::try_from(elf.len()) != Ok(expected) {
        return Err(wrong("does not unpack to a whole ELF file"));
    }
    Ok(elf)
}

/// By the boot protocol: sectors of set-up code, then the payload at an offset.
fn payload(image: &[u8]) -> Option<&[u8]> {
    let word = |at: usize| {
        let bytes = image.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    };
    if image.get(0x202..0x206)? != b"HdrS" {
        return None;
    }
    let setup = (usize::from(*image.get(0x1f1)?) + 1) * 512;
    let start = setup + word(0x248)?;
    image.get(start..start + word(0x24c)?).filter(|payload| payload.len() > 4)
}

/// An initrd for the kernel `version` of the guest in `root`.
pub(super) fn initrd(root: &Path, version: &str) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for dir in ["bin", "dev", "modules", "new"] {
        archive.dir(dir);
    }
    archive.device("dev/console", (5, 1));
    archive.file("init", INIT.as_bytes());
    let busybox = root.join("usr/bin/busybox");
    let program = fs::read(&busybox).map_err(|error| format!("{}: {error}", busybox.display()))?;
    archive.file("bin/busybox", &program);
    let mut order = String::new();
    for path in modules(root, version)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let (name, bytes) = match name.strip_suffix(".xz") {
            Some(name) => (name, pipe(Command::new("xz").arg("-dcq"), &bytes)?),
            None => (name.as_ref(), bytes),
        };
        archive.file(&format!("modules/{name}"), &bytes);
        order = order + name + "\n";
    }
    archive.file("modules/order", order.as_bytes());
    Ok(archive.finish())
}

/// The files of the modules, those they need first; built-in ones have none.
fn modules(root: &Path, version: &str) -> Result<Vec<PathBuf>> {
    let mut command = Command::new("chroot");
    command.arg(root).args(["modprobe", "-S", version, "--show-depends", "-a"]).args(MODULES);
    let out = command.output().map_err(|error| format!("{}: {error}", shown(&command)))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        return Err(format!("{}: {said}", shown(&command)));
    }
    let mut files = Vec::new();
    for line in String::from_utf8_lossy(&out.stdout).lines() {
        let Some(path) = line.trim().strip_prefix("insmod /") else { continue };
        let path = root.join(path.split(' ').next().unwrap_or(path));
        if !files.contains(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

/// What a filter makes of the bytes.
fn pipe(command: &mut Command, input: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| format!("{error}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", shown(command)))?;
    let stdin = child.stdin.take();
    let out = thread::scope(|scope| {
        // A filter that has enough closes its input; its status says if that was right.
        scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input)));
        child.wait_with_output()
    });
    let out = out.map_err(failed)?;
    if out.status.success() {
        Ok(out.stdout)
    } else {
        Err(format!("{}: {}", shown(command), out.status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_kernel_is_refused_not_a_panic() {
        assert_eq!(payload(b""), None);
        assert_eq!(payload(&[0; 0x300]), None);
    }

    #[test]
    fn the_payload_is_found_by_the_header() {
        let mut image = vec![0; 0x800];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x248] = 16;
        image[0x24c] = 8;
        image[1024 + 16..1024 + 24].copy_from_slice(b"payload!");
        assert_eq!(payload(&image), Some(b"payload!".as_slice()));
    }
}
