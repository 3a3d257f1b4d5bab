//! Whole block devices, which is what `io.max` limits.

use std::fmt;
use std::io;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use crate::{Error, Result};

/// A block device by its numbers. Prints as `8:16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockDevice {
    /// Which driver.
    pub major: u32,
    /// Which of its devices.
    pub minor: u32,
}

impl BlockDevice {
    /// The whole device that holds a path: a block device itself, or the one
    /// below the file system of a file or directory. The kernel limits no
    /// partition, so a partition gives its disk; a device-mapper device is a
    /// whole device and is given as it is.
    ///
    /// # Errors
    ///
    /// No such path; a file system without one block device of its own
    /// (overlay, btrfs, tmpfs, network).
    pub fn of_path(path: &Path) -> Result<BlockDevice> {
        let failed = |error: io::Error| Error::io("find the block device of", path, error);
        let stat = rustix::fs::stat(path).map_err(|error| failed(error.into()))?;
        let device = match FileType::from_raw_mode(stat.st_mode) {
            FileType::BlockDevice => stat.st_rdev,
            _ => stat.st_dev,
        };
        let device =
            BlockDevice { major: rustix::fs::major(device), minor: rustix::fs::minor(device) };
        let known = Path::new("/sys/dev/block").join(device.to_string());
        // Anonymous device numbers (major 0) are in no such directory.
        if !known.exists() {
            return Err(failed(io::Error::new(
                io::ErrorKind::Unsupported,
                format!("its file system has no block device of its own (device {device})"),
            )));
        }
        if !known.join("partition").exists() {
            return Ok(device);
        }
        // The directory of a partition lies in its disk's.
        let sysfs = rustix::fs::open(
            &known,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| failed(error.into()))?;
        let disk =
            rustix::fs::openat(&sysfs, "../dev", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| failed(error.into()))?;
        let mut text = Vec::new();
        crate::files::read_into(disk, &mut text).map_err(|error| failed(error.into()))?;
        parse(&text).ok_or_else(|| failed(io::ErrorKind::InvalidData.into()))
    }

    /// Every whole block device that has a medium, in the order of their
    /// numbers. OpenVZ's limits were for a container, whatever disk it used;
    /// the kernel's are for a device, so a limit for the container is one
    /// for each of these.
    ///
    /// # Errors
    ///
    /// No sysfs.
    pub fn all() -> Result<Vec<BlockDevice>> {
        const BLOCK: &str = "/sys/block";
        let failed = |error: io::Error| Error::io("list", BLOCK, error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(BLOCK).map_err(failed)? {
            let at = entry.map_err(failed)?.path();
            // One may go while the others are looked at.
            let read = |file| std::fs::read_to_string(at.join(file)).unwrap_or_default();
            if read("size").trim() != "0" {
                found.extend(parse(read("dev").as_bytes()));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// `8:16` and a newline.
fn parse(text: &[u8]) -> Option<BlockDevice> {
    let (major, minor) = std::str::from_utf8(text).ok()?.trim_end().split_once(':')?;
    Some(BlockDevice { major: major.parse().ok()?, minor: minor.parse().ok()? })
}

impl fmt::Display for BlockDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}:{}", self.major, self.minor))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{BlockDevice, parse};

    #[test]
    fn a_file_system_without_a_device_is_refused_with_a_reason() {
        let error = BlockDevice::of_path(Path::new("/proc")).unwrap_err().to_string();
        assert!(error.contains("/proc: its file system has no block device"), "{error}");
        assert!(BlockDevice::of_path(Path::new("/no/such/path")).is_err());
    }

    #[test]
    fn all_devices_are_whole_and_have_a_medium() {
        let all = BlockDevice::all().unwrap();
        assert!(all.is_sorted());
        for device in all {
            let known = Path::new("/sys/dev/block").join(device.to_string());
            assert!(known.exists() && !known.join("partition").exists(), "{device}");
            assert_ne!(std::fs::read_to_string(known.join("size")).unwrap(), "0\n");
        }
    }

    #[test]
    fn a_partition_is_never_given() {
        for entry in std::fs::read_dir("/sys/dev/block").into_iter().flatten() {
            let name = entry.unwrap().file_name();
            let device = parse(name.as_encoded_bytes()).unwrap();
            assert_eq!(name, *device.to_string());
        }
        // Where / is on a block device.
        if let Ok(device) = BlockDevice::of_path(Path::new("/")) {
            let known = Path::new("/sys/dev/block").join(device.to_string());
            assert!(known.exists() && !known.join("partition").exists(), "{device}");
        }
    }
}
