//! Writes a history.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use serde::Serialize;

use super::entry::VERSION;
use super::{Entry, Files, Head, Moment};

/// How much of the disk a history may take, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space(u64);

impl Space {
    /// The least that is accepted: 256 KiB.
    pub(crate) const LEAST: u64 = 256 << 10;
    /// The most: 1 TiB.
    const MOST: u64 = 1 << 40;
    /// So many files share it, so that so little is lost at once.
    const FILES: u64 = 8;

    pub(crate) fn new(bytes: u64) -> Option<Space> {
        (Space::LEAST..=Space::MOST).contains(&bytes).then_some(Space(bytes))
    }

    fn of_one_file(self) -> u64 {
        self.0 / Space::FILES
    }
}

/// The one who writes a history. There is one for each directory.
#[derive(Debug)]
pub(crate) struct Recorder {
    files: Files,
    space: Space,
    now: Moment,
    /// None before the first line of a new file.
    open: Option<Open>,
    /// Held as long as this lives.
    _lock: File,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Recorder {
    /// Makes the directory if need be, and takes it.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if another recorder has it; what the system says.
    pub(crate) fn open(dir: &Path, space: Space) -> io::Result<Recorder> {
        crate::paths::make_private(dir)?;
        let lock = File::options().create(true).append(true).open(dir.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::ResourceBusy.into(),
            TryLockError::Error(error) => error,
        })?;
        let files = Files::list(dir)?;
        files.paths().try_for_each(|path| release(&File::options().write(true).open(path)?))?;
        Ok(Recorder { files, space, now: Moment::default(), open: None, _lock: lock })
    }

    /// Writes what was read at a time; nothing if nothing changed.
    pub(crate) fn reading(&mut self, now: Moment, time: f64) -> io::Result<()> {
        if self.open.is_none() {
            self.now = now;
            return self.begin(time);
        }
        let change = now.since(&self.now, time);
        self.now = now;
        let Entry::Reading { containers, gone, .. } = &change else { return Ok(()) };
        if containers.is_empty() && gone.is_empty() {
            return Ok(());
        }
        self.write(&change, time)
    }

    /// Writes a refusal, or that nothing is known.
    pub(crate) fn entry(&mut self, entry: &Entry, time: f64) -> io::Result<()> {
        if self.open.is_none() {
            self.begin(time)?;
        }
        self.write(entry, time)
    }

    /// The next reading is written whole, as if it were the first.
    pub(crate) fn forget(&mut self) {
        self.close();
        self.now = Moment::default();
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            // Tried once more when the next recorder opens the directory.
            let _ = release(&open.file);
        }
    }

    /// What was written is on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.open.as_ref().map_or(Ok(()), |open| open.file.sync_data())
    }

    /// Writes a line, to the next file if this one is full.
    fn write(&mut self, entry: &Entry, time: f64) -> io::Result<()> {
        let line = line(entry)?;
        let (room, most) = (line.len() as u64, self.space.of_one_file());
        if self.open.as_ref().is_none_or(|open| open.size + room > most) {
            self.begin(time)?;
            // It begins with the newest reading.
            if matches!(entry, Entry::Reading { .. }) {
                return Ok(());
            }
        }
        self.append(&line)
    }

    /// Begins a new file with all there is to know.
    fn begin(&mut self, time: f64) -> io::Result<()> {
        self.close();
        let mut text = line(&Head { ubc_history: VERSION })?;
        text.extend(line(&self.now.whole(time))?);
        let room = self.space.of_one_file().max(text.len() as u64);
        while self.files.size() + room > self.space.0 {
            if !self.files.remove_oldest()? {
                let containers = self.now.0.len();
                let message = format!("{containers} containers do not fit into --size");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
            }
        }
        let (path, file) = self.files.create()?;
        // So that the record goes on when others fill the disk, which is when it
        // is wanted most. Some file systems cannot.
        let _ = fallocate(&file, FallocateFlags::KEEP_SIZE, 0, room);
        self.open = Some(Open { path, file, size: 0 });
        self.append(&text)
    }

    /// All of it, or none.
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if let Err(error) = open.file.write_all(text) {
            let error = io::Error::new(error.kind(), format!("{}: {error}", open.path.display()));
            let (torn, empty) = (ftruncate(&open.file, open.size).is_err(), open.size == 0);
            if torn || empty {
                self.forget();
            }
            if empty {
                // Or a disk that stays full would get one with each attempt.
                self.files.remove_newest();
            }
            return Err(error);
        }
        open.size += text.len() as u64;
        self.files.grown(open.size);
        Ok(())
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

/// Gives back what was set aside behind the end.
fn release(file: &File) -> io::Result<()> {
    file.set_len(file.metadata()?.len())
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}
