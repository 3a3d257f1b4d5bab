//! The limits that are in a cgroup's files, whoever wrote them.

use ubc_core::{Limits, PerResource, Resource, UNLIMITED};

use super::{Write, writes};
use crate::files::KeptFile;
use crate::{Cgroup, Result, parse};

/// The files limits are in.
const FILES: [&str; 5] = ["pids.max", "memory.max", "memory.high", "memory.swap.max", "memory.low"];

/// Reads the limits a cgroup's controllers apply now: those of a
/// [`super::Limiter`] or of the runtime that made the cgroup.
#[derive(Debug)]
pub struct FoundLimits {
    files: [Option<KeptFile>; FILES.len()],
    texts: [Vec<u8>; FILES.len()],
    page: u64,
}

impl FoundLimits {
    /// Opens the files the cgroup has; nothing is read yet.
    ///
    /// # Errors
    ///
    /// A file that is there cannot be opened.
    pub fn open(cgroup: &Cgroup) -> Result<FoundLimits> {
        let mut files = [const { None }; FILES.len()];
        for (file, name) in files.iter_mut().zip(FILES) {
            *file = KeptFile::open(cgroup.as_dir(), cgroup.path(), name)?;
        }
        let page = rustix::param::page_size() as u64;
        Ok(FoundLimits { files, texts: Default::default(), page })
    }

    /// Reads the files; whether any says something else than last time. One
    /// that cannot be read says nothing.
    pub fn look(&mut self) -> bool {
        let mut changed = false;
        let mut buffer = Vec::new();
        for (file, text) in self.files.iter().zip(&mut self.texts) {
            let Some(file) = file else { continue };
            if file.read(&mut buffer).is_err() {
                buffer.clear();
            }
            if buffer != *text {
                text.clone_from(&buffer);
                changed = true;
            }
        }
        changed
    }

    /// What the files say of a row, as of the last look; `None` where they
    /// limit nothing. The inverse of the table of [`super::Limiter`]: a row
    /// with one threshold has it as barrier and limit, a guarantee is the
    /// barrier of a row without a limit.
    pub fn limits(&self, resource: Resource) -> Option<Limits> {
        let pages = |file| match self.number(file)? {
            Some(bytes) => Some(bytes / self.page),
            None => None,
        };
        let both = |most: u64| Limits { barrier: most, limit: most };
        match resource {
            Resource::NumProc => self.number("pids.max")?.map(both),
            Resource::SwapPages => pages("memory.swap.max").map(both),
            Resource::PhysPages => {
                let limit = pages("memory.max").unwrap_or(UNLIMITED);
                let barrier = pages("memory.high").unwrap_or(UNLIMITED).min(limit);
                (barrier != UNLIMITED).then_some(Limits { barrier, limit })
            }
            Resource::OomGuarPages => {
                // All there can be is guaranteed where it says `max`.
                let barrier = match self.number("memory.low")? {
                    Some(bytes) => bytes / self.page,
                    None => UNLIMITED,
                };
                (barrier != 0).then_some(Limits { barrier, limit: UNLIMITED })
            }
            _ => None,
        }
    }

    /// Whether the files hold what a limiter writes for these limits of a
    /// row, as of the last look. False for a row that no file limits.
    pub fn hold(&self, resource: Resource, limits: Limits) -> bool {
        let mut asked = PerResource::default();
        asked[resource] = Some(limits);
        let writes = writes(&asked);
        let holds = |write: &Write| {
            self.number(write.file).is_some_and(|number| {
                number.map_or_else(|| "max".to_owned(), |n| n.to_string()) == write.value
            })
        };
        !writes.is_empty() && writes.iter().all(holds)
    }

    /// `Some(None)` is `max`; `None` is no such file, or no number in it.
    fn number(&self, file: &str) -> Option<Option<u64>> {
        let at = FILES.iter().position(|name| *name == file)?;
        parse::limit(&self.texts[at]).ok()
    }
}

#[cfg(test)]
mod tests {
    use ubc_core::{Limits, Resource, UNLIMITED};

    use super::{FILES, FoundLimits};

    /// As if the files had been read.
    fn found(texts: [&str; FILES.len()]) -> FoundLimits {
        let texts = texts.map(|text| text.as_bytes().to_vec());
        FoundLimits { files: [const { None }; FILES.len()], texts, page: 4096 }
    }

    fn both(value: u64) -> Option<Limits> {
        Some(Limits { barrier: value, limit: value })
    }

    #[test]
    fn a_cgroup_nobody_limited_has_no_limits_rather_than_zero() {
        for none in [["max", "max", "max", "max", "0"], ["", "", "", "", ""]] {
            let found = found(none);
            assert!(Resource::ALL.iter().all(|&row| found.limits(row).is_none()), "{none:?}");
        }
    }

    #[test]
    fn limits_of_a_runtime_are_read_as_the_rows_have_them() {
        let found = found(["50\n", "67108864\n", "max\n", "0\n", "16777216\n"]);
        assert_eq!(found.limits(Resource::NumProc), both(50));
        assert_eq!(found.limits(Resource::PhysPages), both(16384));
        assert_eq!(found.limits(Resource::SwapPages), both(0), "no swap is a limit");
        let guarantee = Some(Limits { barrier: 4096, limit: UNLIMITED });
        assert_eq!(found.limits(Resource::OomGuarPages), guarantee);
        assert_eq!(found.limits(Resource::NumFile), None);
    }

    #[test]
    fn where_reclaim_starts_early_is_a_barrier() {
        let limits = |high, max| found(["", max, high, "", ""]).limits(Resource::PhysPages);
        assert_eq!(limits("4096", "8192"), Some(Limits { barrier: 1, limit: 2 }));
        assert_eq!(limits("4096", "max"), Some(Limits { barrier: 1, limit: UNLIMITED }));
        assert_eq!(limits("8192", "4096"), both(1), "never above the limit");
    }

    #[test]
    fn files_hold_a_pair_of_which_they_keep_only_one_half() {
        let found = found(["12", "8192", "max", "max", "0"]);
        let hold = |row, barrier, limit| found.hold(row, Limits { barrier, limit });
        assert!(hold(Resource::NumProc, 12, 20) && !hold(Resource::NumProc, 20, 20));
        assert!(hold(Resource::PhysPages, 0, 2) && !hold(Resource::PhysPages, 1, 2));
        assert!(hold(Resource::SwapPages, 5, UNLIMITED));
        assert!(hold(Resource::OomGuarPages, UNLIMITED, UNLIMITED));
        assert!(!hold(Resource::NumFile, 1, 1));
    }
}
