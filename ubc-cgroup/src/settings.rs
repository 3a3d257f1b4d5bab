//! Changes to several files of one cgroup, made whole or not at all.
//!
//! Rows and scheduler knobs go through the same steps: look what a file
//! holds, write, read back, and put everything back when one fails.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::{Error, Result, Target, files};

mod form;

pub(crate) use form::Form;

/// linux/magic.h.
const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;

/// One value for one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    /// What the value is for.
    pub(crate) target: Target,
    /// The file.
    pub(crate) file: &'static str,
    /// How the file writes it.
    pub(crate) form: Form,
    /// As it is to be read back.
    pub(crate) value: String,
}

impl Setting {
    /// Whether both are written to the same place: of a file with a line for
    /// each device, the same keys of the same line.
    pub(crate) fn is_same_place(&self, other: &Setting) -> bool {
        self.file == other.file && self.form.place(&self.value) == other.form.place(&other.value)
    }
}

/// The files of one cgroup.
#[derive(Debug)]
pub(crate) struct Settings {
    dir: OwnedFd,
    at: PathBuf,
}

impl Settings {
    /// For a directory with controller files in it.
    pub(crate) fn of_directory(dir: BorrowedFd<'_>, at: &Path) -> Result<Settings> {
        let dir = dir.try_clone_to_owned().map_err(|error| Error::io("duplicate", at, error))?;
        Ok(Settings { dir, at: at.to_owned() })
    }

    /// Writes the values in their order, reads each back, and says for each
    /// what its file held before; `None` where the cgroup has no such file.
    /// After a failure the files written before hold what they held.
    pub(crate) fn apply(&self, wanted: &[Setting]) -> Result<Vec<Option<String>>> {
        let mut found = Vec::with_capacity(wanted.len());
        let mut done: Vec<(&Setting, String)> = Vec::new();
        for setting in wanted {
            let before = self.before(setting, &done)?;
            match &before {
                Some(before) if *before == setting.value => self.check_effect(setting, &done)?,
                Some(before) => self.write(setting, before.clone(), &mut done)?,
                None => {}
            }
            found.push(before);
        }
        Ok(found)
    }

    /// Writes `value` where `setting` was written, if its value is there
    /// still; whether it was.
    pub(crate) fn replace(&self, setting: &Setting, value: &str) -> Result<bool> {
        let failed = |source: io::Error| {
            if self.is_removed() {
                return Error::Removed { path: self.at.clone() };
            }
            Error::Limit {
                target: setting.target,
                path: self.at.join(setting.file),
                value: value.to_owned(),
                source,
                restore: Vec::new(),
            }
        };
        let current = self.current(setting).map_err(|error| failed(error.into()))?;
        if current != setting.value {
            return Ok(false);
        }
        if current != value {
            self.put(setting, value).map_err(failed)?;
        }
        Ok(true)
    }

    /// What a file holds; `None` when there is none.
    pub(crate) fn text(&self, file: &str) -> Option<String> {
        let text = files::read(&self.dir, file).ok()?;
        Some(String::from_utf8_lossy(&text).trim_end().to_owned())
    }

    /// All files that are ever written here, with what they hold.
    pub(crate) fn contents(&self) -> Vec<(String, String)> {
        let text = |(file, _): (&'static str, Form)| Some((file.to_owned(), self.text(file)?));
        Form::all().into_iter().filter_map(text).collect()
    }

    /// Makes files hold again what they held; what could not be written. A
    /// file that is not known here is left alone.
    pub(crate) fn put_back(&self, contents: &[(String, String)]) -> Vec<(PathBuf, io::Error)> {
        let mut failed = Vec::new();
        for (file, before) in contents {
            let Some((file, form)) = Form::of(file) else { continue };
            let Some(now) = self.text(file).filter(|now| now != before) else { continue };
            for line in form.lines_back(&now, before) {
                let text = if line.is_empty() { "\n" } else { &line };
                if let Err(error) = files::write(&self.dir, file, text) {
                    failed.push((self.at.join(file), error));
                }
            }
        }
        failed
    }

    /// Whether the cgroup has a file.
    pub(crate) fn has(&self, file: &str) -> bool {
        files::open(&self.dir, file, OFlags::PATH).is_ok()
    }

    /// What a file holds before it is written; `None` when there is no such
    /// file, and so no such controller, in a cgroup that is still there.
    fn before(&self, setting: &Setting, done: &[(&Setting, String)]) -> Result<Option<String>> {
        match self.current(setting) {
            Ok(before) => Ok(Some(before)),
            // A removed cgroup has no files at all.
            Err(Errno::NOENT) if !self.is_removed() => Ok(None),
            Err(error) => Err(self.undo(done, setting, error.into())),
        }
    }

    /// Writes a value, notes what was there, and checks what is there now.
    fn write<'s>(
        &self,
        setting: &'s Setting,
        before: String,
        done: &mut Vec<(&'s Setting, String)>,
    ) -> Result<()> {
        if let Err(error) = self.put(setting, &setting.value) {
            return Err(self.undo(done, setting, error));
        }
        done.push((setting, before));
        match self.current(setting) {
            Ok(got) if got == setting.value => self.check_effect(setting, done),
            Ok(got) => Err(self.reads_back(done, setting, setting.file, got)),
            Err(error) => Err(self.undo(done, setting, error.into())),
        }
    }

    /// The kernel keeps a list of CPUs or nodes none of which is there, and
    /// lets the cgroup run on its parent's.
    fn check_effect(&self, setting: &Setting, done: &[(&Setting, String)]) -> Result<()> {
        let Form::Ids { effective, .. } = setting.form else { return Ok(()) };
        let Ok(text) = files::read(&self.dir, effective) else { return Ok(()) };
        if form::is_within(&text, &setting.value) {
            return Ok(());
        }
        let got = String::from_utf8_lossy(&text).trim().to_owned();
        Err(self.reads_back(done, setting, effective, got))
    }

    /// One write; an empty value needs a byte for the kernel to see it.
    fn put(&self, setting: &Setting, value: &str) -> io::Result<()> {
        let text = if value.is_empty() { "\n" } else { value };
        files::write(&self.dir, setting.file, text).or_else(|error| {
            let instead = setting.form.instead(value, &error).ok_or(error)?;
            files::write(&self.dir, setting.file, &instead)
        })
    }

    /// Every living cgroup has a `cgroup.procs`.
    fn is_removed(&self) -> bool {
        let is_cgroup = rustix::fs::fstatfs(&self.dir)
            .is_ok_and(|fs| u64::try_from(fs.f_type) == Ok(CGROUP2_SUPER_MAGIC));
        is_cgroup && !self.has("cgroup.procs")
    }

    /// What a file holds, in the words in which it would be written.
    fn current(&self, setting: &Setting) -> Result<String, Errno> {
        let text = files::read(&self.dir, setting.file)?;
        setting.form.current(&setting.value, &text).ok_or(Errno::BADMSG)
    }

    /// Puts everything back and builds the error.
    fn undo(&self, done: &[(&Setting, String)], failed: &Setting, source: io::Error) -> Error {
        // ENODEV alone would not do: io.max says it of a device.
        if self.is_removed() {
            return Error::Removed { path: self.at.clone() };
        }
        Error::Limit {
            target: failed.target,
            path: self.at.join(failed.file),
            value: failed.value.clone(),
            source,
            restore: self.restore(done),
        }
    }

    fn reads_back(
        &self,
        done: &[(&Setting, String)],
        setting: &Setting,
        file: &str,
        got: String,
    ) -> Error {
        self.restore(done);
        Error::LimitReadsBack {
            target: setting.target,
            path: self.at.join(file),
            wanted: setting.value.clone(),
            got,
        }
    }

    /// Puts back what was there, last written first; returns what could not.
    fn restore(&self, done: &[(&Setting, String)]) -> Vec<(PathBuf, io::Error)> {
        done.iter()
            .rev()
            .filter_map(|(setting, before)| {
                let error = self.put(setting, before).err()?;
                let path = self.at.join(setting.file);
                log::warn!("{}: cannot restore {before}: {error}", path.display());
                Some((path, error))
            })
            .collect()
    }
}
