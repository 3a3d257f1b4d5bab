//! `/proc/PID/mountinfo`.

use super::{lines, number, words};

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Mount id.
    pub id: u64,
    /// Id of the mount it sits on.
    pub parent: u64,
    /// Major and minor of the file system's device number.
    pub device: (u32, u32),
    /// The directory of the file system that is mounted.
    pub root: Vec<u8>,
    /// Where, relative to the reader's root.
    pub point: Vec<u8>,
    /// `ext4`, `tmpfs`, `fuse.sshfs`.
    pub kind: Vec<u8>,
    /// Options of the file system, separated by commas.
    pub options: Vec<u8>,
}

impl Mount {
    /// Whether the file system has this option.
    pub fn has_option(&self, option: &str) -> bool {
        self.options.split(|&b| b == b',').any(|o| o == option.as_bytes())
    }
}

/// The mounts, in the file's order. A line that is no mount is left out.
pub fn mounts(text: &[u8]) -> Vec<Mount> {
    lines(text).filter_map(|(_, line)| mount(line)).collect()
}

/// `36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn mount(line: &[u8]) -> Option<Mount> {
    let mut words = words(line);
    let id = number(words.next()?)?;
    let parent = number(words.next()?)?;
    let device = words.next()?;
    let colon = device.iter().position(|&b| b == b':')?;
    let major = u32::try_from(number(&device[..colon])?).ok()?;
    let minor = u32::try_from(number(&device[colon + 1..])?).ok()?;
    let root = unescape(words.next()?);
    let point = unescape(words.next()?);
    words.find(|word| *word == b"-")?;
    let kind = unescape(words.next()?);
    // An empty source prints as nothing, so the options are the last word.
    let options = words.last().map(unescape).unwrap_or_default();
    Some(Mount { id, parent, device: (major, minor), root, point, kind, options })
}

/// Undoes the kernel's `\ooo` for blank, tab, newline and backslash.
fn unescape(word: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\'
            && let Some(&[a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7']) =
                tail.first_chunk::<3>()
        {
            plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = &tail[3..];
        } else {
            plain.push(byte);
        }
    }
    plain
}
