//! The limits that are in a cgroup's files, whoever wrote them.

use ubc_core::{Limits, PerResource, Resource, UNLIMITED};

use super::{Write, writes};
use crate::files::KeptFile;
use crate::{Cgroup, Result, parse};

/// The files a limiter writes.
const OWN: [&str; 5] = ["pids.max", "memory.max", "memory.high", "memory.swap.max", "memory.low"];

/// Those of them that hold for everything below, too.
const OUTER: [&str; 4] = ["pids.max", "memory.max", "memory.high", "memory.swap.max"];

/// Reads the limits that hold for a cgroup now: those of a [`super::Limiter`],
/// of the runtime that made the cgroup, and of the cgroups around it.
#[derive(Debug)]
pub struct FoundLimits {
    own: Vec<Found>,
    /// Of every cgroup from its parent up; none in the root has limits.
    outer: Vec<Found>,
    page: u64,
}

/// One file, and its text when it was looked at last.
#[derive(Debug)]
struct Found {
    name: &'static str,
    file: Option<KeptFile>,
    text: Vec<u8>,
}

impl FoundLimits {
    /// Opens the files there are; nothing is read yet.
    ///
    /// # Errors
    ///
    /// A file that is there cannot be opened.
    pub fn open(cgroup: &Cgroup) -> Result<FoundLimits> {
        let mut own = Vec::new();
        for name in OWN {
            let file = KeptFile::open(cgroup.as_dir(), cgroup.path(), name)?;
            own.push(Found { name, file, text: Vec::new() });
        }
        let mut outer = Vec::new();
        for (around, path) in
            ancestors(cgroup.name().as_str()).zip(cgroup.path().ancestors().skip(1))
        {
            for name in OUTER {
                let below_root = format!("{around}/{name}");
                let file = KeptFile::open_at(cgroup.root(), path, &below_root, name)?;
                outer.push(Found { name, file, text: Vec::new() });
            }
        }
        Ok(FoundLimits { own, outer, page: rustix::param::page_size() as u64 })
    }

    /// Reads the files; whether any says something else than last time. One
    /// that cannot be read says nothing.
    pub fn look(&mut self) -> bool {
        let mut changed = false;
        let mut buffer = Vec::new();
        for found in self.own.iter_mut().chain(&mut self.outer) {
            let Some(file) = &found.file else { continue };
            if file.read(&mut buffer).is_err() {
                buffer.clear();
            }
            if buffer != found.text {
                found.text.clone_from(&buffer);
                changed = true;
            }
        }
        changed
    }

    /// The limits that hold for a row, as of the last look; `None` where
    /// nothing limits it. The inverse of the table of [`super::Limiter`]: a
    /// row with one threshold has it as barrier and limit, a guarantee is the
    /// barrier of a row without a limit. Of the cgroup and those around it the
    /// lowest counts.
    pub fn limits(&self, resource: Resource) -> Option<Limits> {
        let most = |name: &str| {
            let most = self.own(name).into_iter().chain(self.outer(name)).min();
            most.filter(|most| *most != UNLIMITED)
        };
        let pages = |name: &str| most(name).map(|bytes| bytes / self.page);
        let both = |most: u64| Limits { barrier: most, limit: most };
        match resource {
            Resource::NumProc => most("pids.max").map(both),
            Resource::SwapPages => pages("memory.swap.max").map(both),
            Resource::PhysPages => {
                let limit = pages("memory.max").unwrap_or(UNLIMITED);
                let barrier = pages("memory.high").unwrap_or(UNLIMITED).min(limit);
                (barrier != UNLIMITED).then_some(Limits { barrier, limit })
            }
            Resource::OomGuarPages => {
                let barrier = match self.own("memory.low")? {
                    UNLIMITED => UNLIMITED,
                    bytes => bytes / self.page,
                };
                (barrier != 0).then_some(Limits { barrier, limit: UNLIMITED })
            }
            _ => None,
        }
    }

    /// The lowest limit of the cgroups around this one for what the limit of
    /// a row would be written to, in the unit of the row, as of the last
    /// look. More than that cannot be had in here.
    pub fn around(&self, resource: Resource) -> Option<u64> {
        match resource {
            Resource::NumProc => self.outer("pids.max"),
            Resource::PhysPages => self.outer("memory.max").map(|bytes| bytes / self.page),
            Resource::SwapPages => self.outer("memory.swap.max").map(|bytes| bytes / self.page),
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
            self.own(write.file).is_some_and(|number| match number {
                UNLIMITED => write.value == "max",
                number => write.value == number.to_string(),
            })
        };
        !writes.is_empty() && writes.iter().all(holds)
    }

    /// Whether the cgroup has a file that limits a row.
    pub fn has_file(&self, resource: Resource) -> bool {
        let mut asked = PerResource::default();
        asked[resource] = Some(Limits::UNLIMITED);
        writes(&asked).iter().any(|write| self.own(write.file).is_some())
    }

    /// The number in a file, [`UNLIMITED`] for `max`; `None` is no such file,
    /// or no number in it.
    fn own(&self, name: &str) -> Option<u64> {
        let found = self.own.iter().find(|found| found.name == name)?;
        parse::limit(&found.text).ok().map(|number| number.unwrap_or(UNLIMITED))
    }

    /// The lowest number around.
    fn outer(&self, name: &str) -> Option<u64> {
        let named = self.outer.iter().filter(|found| found.name == name);
        named.filter_map(|found| parse::limit(&found.text).ok()?).min()
    }
}

/// `a/b` and `a` of `a/b/c`.
fn ancestors(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.rsplit_once('/'), |(parent, _)| parent.rsplit_once('/'))
        .map(|(parent, _)| parent)
}

#[cfg(test)]
mod tests {
    use ubc_core::{Limits, Resource, UNLIMITED};

    use super::{Found, FoundLimits, OUTER, OWN, ancestors};

    /// As if the files had been read.
    fn found(texts: [&str; OWN.len()]) -> FoundLimits {
        FoundLimits { own: files(&OWN, &texts), outer: Vec::new(), page: 4096 }
    }

    fn files(names: &[&'static str], texts: &[&str]) -> Vec<Found> {
        let found = |(&name, text): (&&'static str, &&str)| Found {
            name,
            file: None,
            text: text.as_bytes().to_vec(),
        };
        names.iter().zip(texts).map(found).collect()
    }

    fn both(value: u64) -> Limits {
        Limits { barrier: value, limit: value }
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
        assert_eq!(found.limits(Resource::NumProc), Some(both(50)));
        assert_eq!(found.limits(Resource::PhysPages), Some(both(16384)));
        assert_eq!(found.limits(Resource::SwapPages), Some(both(0)), "no swap is a limit");
        let guarantee = Some(Limits { barrier: 4096, limit: UNLIMITED });
        assert_eq!(found.limits(Resource::OomGuarPages), guarantee);
        assert_eq!(found.limits(Resource::NumFile), None);
    }

    #[test]
    fn where_reclaim_starts_early_is_a_barrier() {
        let limits = |high, max| found(["", max, high, "", ""]).limits(Resource::PhysPages);
        assert_eq!(limits("4096", "8192"), Some(Limits { barrier: 1, limit: 2 }));
        assert_eq!(limits("4096", "max"), Some(Limits { barrier: 1, limit: UNLIMITED }));
        assert_eq!(limits("8192", "4096"), Some(both(1)), "never above the limit");
    }

    #[test]
    fn a_limit_that_a_cgroup_around_does_not_grant_is_not_shown() {
        let mut found = found(["50", "8192", "max", "max", "0"]);
        found.outer = files(&OUTER, &["max", "max", "max", "max"]);
        assert_eq!(found.around(Resource::NumProc), None);
        found.outer.extend(files(&OUTER, &["40", "4096", "max", "0"]));
        assert_eq!(found.limits(Resource::NumProc), Some(both(40)));
        assert_eq!(found.limits(Resource::PhysPages), Some(both(1)));
        assert_eq!(found.limits(Resource::SwapPages), Some(both(0)));
        let around = [Resource::NumProc, Resource::PhysPages, Resource::NumFile];
        assert_eq!(around.map(|row| found.around(row)), [Some(40), Some(1), None]);
        // What was written here is here all the same.
        assert!(found.hold(Resource::NumProc, Limits { barrier: 50, limit: 50 }));
        assert_eq!(ancestors("a/b/c").collect::<Vec<_>>(), ["a/b", "a"]);
        assert_eq!(ancestors("a").count(), 0);
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
