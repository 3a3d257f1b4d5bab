//! The directory: which files there are, and what they take.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, openat};

/// The files of a history, the oldest first.
#[derive(Debug)]
pub(crate) struct Files {
    dir: PathBuf,
    /// Number and size in bytes.
    files: Vec<(u64, u64)>,
}

impl Files {
    /// Looks what is there; files of other names are none of ours.
    pub(crate) fn list(dir: &Path) -> io::Result<Files> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(number) {
                files.push((number, entry.metadata()?.len()));
            }
        }
        files.sort_unstable();
        Ok(Files { dir: dir.to_owned(), files })
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().map(|(number, _)| self.path(*number))
    }

    /// How many bytes all of them have.
    pub(super) fn size(&self) -> u64 {
        self.files.iter().map(|(_, size)| size).sum()
    }

    /// Removes the oldest; whether there was one.
    pub(super) fn remove_oldest(&mut self) -> io::Result<bool> {
        let Some((oldest, _)) = self.files.first().copied() else { return Ok(false) };
        match std::fs::remove_file(self.path(oldest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.files.remove(0);
        Ok(true)
    }

    /// Makes the next one, for nobody but its owner: what processes call
    /// themselves is in it.
    pub(super) fn create(&mut self) -> io::Result<(PathBuf, File)> {
        let number = self.files.last().map_or(1, |(number, _)| number + 1);
        let path = self.path(number);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR)?;
        self.files.push((number, 0));
        Ok((path, file.into()))
    }

    /// Takes the newest away again: nothing is in it.
    pub(super) fn remove_newest(&mut self) {
        if let Some((newest, _)) = self.files.pop() {
            // It is read as one in which nothing is.
            let _ = std::fs::remove_file(self.path(newest));
        }
    }

    /// The newest has this many bytes now.
    pub(super) fn grown(&mut self, size: u64) {
        if let Some((_, newest)) = self.files.last_mut() {
            *newest = size;
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.dir.join(format!("{number:012}.ndjson"))
    }
}

fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".ndjson")?;
    // Longer ones could not be told from others by their name's order.
    (digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())?
}
