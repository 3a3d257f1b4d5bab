//! A container's standing when memory runs out.

use std::sync::atomic::Ordering;

use log::{debug, warn};
use ubc_cgroup::oom::{Domain, Draft, Scores};
use ubc_cgroup::{Cgroup, Error, Host};
use ubc_core::guarantee::overdraft;
use ubc_core::{PageSize, Reading, Resource, UNLIMITED};

use super::Container;
use crate::kept::State;
use crate::oom::Contender;

/// What it takes to place a container in the out-of-memory order.
pub(super) struct Standing {
    cgroup: Cgroup,
    draft: Draft,
    /// None before its init is known.
    scores: Option<Scores>,
    /// What its processes were given last.
    score: Option<i32>,
}

impl Standing {
    /// None for a cgroup without the memory controller.
    pub(super) fn open(host: &Host, name: &str) -> Result<Option<Standing>, Error> {
        let cgroup = Cgroup::open(host, name)?;
        let draft = Draft::open(&cgroup)?;
        Ok(draft.map(|draft| Standing { cgroup, draft, scores: None, score: None }))
    }

    /// With what a predecessor did to its processes.
    pub(super) fn stands_again(&mut self, state: &State) {
        self.scores = state.scores.clone().map(|scores| Scores::again(&scores.into()));
    }

    /// Everything as it would be without us.
    fn restore(&mut self) {
        self.score = None;
        if let Some(scores) = &mut self.scores
            && let Err(error) = scores.restore(&self.cgroup)
        {
            debug!("cgroup {}: {error}", self.cgroup.name());
        }
    }
}

impl Container {
    /// Its processes have what its init has.
    pub(super) fn stands_with(&self, init: u32) {
        if let Some(standing) = self.standing.lock().as_mut() {
            standing.scores = Scores::of_process(init).map(Scores::new).ok();
            self.keep_scores(standing, None);
        }
    }

    /// Where it stands, if it was given a guarantee.
    pub(crate) fn contender(&self) -> Option<Contender> {
        let mut standing = self.standing.lock();
        let standing = standing.as_mut()?;
        let limits = self.beancounter.limits(Resource::OomGuarPages);
        if limits.barrier == UNLIMITED {
            standing.restore();
            self.keep_scores(standing, None);
            return None;
        }
        let found = standing.draft.read().and_then(|mut rows| {
            rows[Resource::OomGuarPages].barrier = limits.barrier;
            let reading = Reading { id: self.id, rows };
            self.overdrawn.store(is_overdrawn(&reading), Ordering::Relaxed);
            Ok(Contender { reading, domains: Domain::all(&standing.cgroup)? })
        });
        found.map_err(|error| debug!("container {}: {error}", self.id)).ok()
    }

    /// Gives its processes a place in the order; `None`: their own.
    pub(crate) fn place(&self, score: Option<i32>) {
        let mut standing = self.standing.lock();
        let Some(standing) = standing.as_mut() else { return };
        let Some(value) = score else {
            standing.restore();
            return self.keep_scores(standing, None);
        };
        self.keep_scores(standing, Some(value));
        let Some(scores) = &mut standing.scores else { return };
        let done = scores.set(&standing.cgroup, value);
        match done {
            Ok(()) | Err(Error::Removed { .. }) => {}
            // Once, not at every look.
            Err(error) if standing.score != score => warn!("container {}: {error}", self.id),
            Err(_) => {}
        }
        standing.score = score;
        self.keep_scores(standing, None);
    }

    /// It no longer takes part, and its processes get back what they had.
    pub(crate) fn stand_down(&self) {
        if let Some(mut standing) = self.standing.lock().take() {
            standing.restore();
            self.keep_scores(&standing, None);
        }
    }

    /// Writes down what was done to its processes, and with which value it is
    /// about to be done: who has that value later got it here.
    fn keep_scores(&self, standing: &Standing, value: Option<i32>) {
        let Some(kept) = &self.kept else { return };
        let known = standing.scores.as_ref().map(|scores| {
            let mut known = scores.known();
            known.ours.extend(value.filter(|value| !known.ours.contains(value)));
            known.into()
        });
        kept.update(|state| state.scores = known);
    }

    /// A full reading may show that it crossed its guarantee.
    pub(super) fn note_standing(&self, reading: &Reading) {
        let guarantee = reading.rows[Resource::OomGuarPages].barrier;
        if guarantee != UNLIMITED && is_overdrawn(reading) != self.overdrawn.load(Ordering::Relaxed)
        {
            self.crossed.ring();
        }
    }
}

fn is_overdrawn(reading: &Reading) -> bool {
    let page = PageSize::new(rustix::param::page_size() as u64).unwrap_or_default();
    overdraft(&reading.rows, page) > 0
}
