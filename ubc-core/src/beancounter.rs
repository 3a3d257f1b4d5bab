//! A beancounter: one container's counters, and the way up from it.

use core::fmt;

use crate::observe::Baseline;
use crate::stock::Pool;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, OwnLine, fence};
use crate::{Counter, Limits, PerResource, Reading, Resource, Row, SetLimitsError, Source, UbId};

mod hierarchy;
mod stocks;

/// The counters of one container or sub-beancounter, and its parent.
///
/// This is a handle: clones are the same beancounter, and it lives as long as
/// one of them, a charge, or its entry in a
/// [`Registry`](crate::Registry). It may be used from any thread.
///
/// Charging never takes a lock. Readings, limit changes, resets and
/// observations of one beancounter take turns; they do not hold up charges.
#[derive(Clone)]
pub struct Beancounter {
    node: Arc<Node>,
}

struct Node {
    id: UbId,
    parent: Option<Beancounter>,
    counters: PerResource<Counter>,
    /// The stocks in front of this beancounter and those below it; used at
    /// the top only.
    pool: OwnLine<Pool>,
    /// Its own line: taking the lock must not take `parent` and `id` away
    /// from the cores that charge.
    control: OwnLine<Control>,
}

/// What is not touched by charging.
struct Control {
    /// Serialises everything but charges and uncharges.
    baselines: Mutex<PerResource<Baseline>>,
    underflow: AtomicBool,
}

/// A beancounter deeper than [`UbId::MAX_DEPTH`] levels was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id} cannot have children: a hierarchy has at most {} levels", UbId::MAX_DEPTH)]
pub struct TooDeep {
    /// The beancounter at the deepest level.
    pub id: UbId,
}

impl Beancounter {
    /// A top-level beancounter that is in no registry, without limits.
    pub fn new(id: crate::ContainerId) -> Self {
        Self::fresh(UbId::top(id), None, &PerResource::default())
    }

    /// A new sub-beancounter in no registry, without limits of its own. What
    /// it is charged, its parents are charged too.
    ///
    /// # Errors
    ///
    /// This one is at the deepest level.
    pub fn child(&self, id: crate::ContainerId) -> Result<Self, TooDeep> {
        let child = self.id().child(id).ok_or(TooDeep { id: self.id() })?;
        Ok(Self::fresh(child, Some(self.clone()), &PerResource::default()))
    }

    /// Nothing counted yet. `limits` are valid.
    pub(crate) fn fresh(id: UbId, parent: Option<Self>, limits: &PerResource<Limits>) -> Self {
        let counter = |r| Counter::restored(&Row::from_limits(limits[r]), Source::Unused);
        Self::assemble(id, parent, PerResource::from_fn(counter), &PerResource::default(), false)
    }

    /// From parts that have been validated.
    pub(crate) fn assemble(
        id: UbId,
        parent: Option<Self>,
        counters: PerResource<Counter>,
        baselines: &PerResource<Baseline>,
        underflow: bool,
    ) -> Self {
        let underflow = AtomicBool::new(underflow);
        let control = OwnLine(Control { baselines: Mutex::new(*baselines), underflow });
        let pool = OwnLine(Pool::new());
        Beancounter { node: Arc::new(Node { id, parent, counters, pool, control }) }
    }

    /// Its full id.
    pub fn id(&self) -> UbId {
        self.node.id
    }

    /// The beancounter above, which is charged along.
    pub fn parent(&self) -> Option<&Beancounter> {
        self.node.parent.as_ref()
    }

    /// The beancounter at the top, whose pool has the stocks of all below it.
    pub(crate) fn root(&self) -> &Beancounter {
        let mut top = self;
        while let Some(parent) = top.parent() {
            top = parent;
        }
        top
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.node.pool
    }

    /// Whether both are handles of the same beancounter. Equal ids do not
    /// say that: a later beancounter may have the same.
    pub fn is(&self, other: &Beancounter) -> bool {
        Arc::ptr_eq(&self.node, &other.node)
    }

    #[inline]
    pub(crate) fn counter(&self, resource: Resource) -> &Counter {
        &self.node.counters[resource]
    }

    /// Whether this handle is the only thing that keeps it alive. No other
    /// can appear while the caller keeps this one from being cloned.
    pub(crate) fn is_unshared(&self) -> bool {
        let unshared = Arc::strong_count(&self.node) == 1;
        // The count is read without ordering. This pairs with the release of
        // the handle dropped last: what it charged is seen from here on.
        fence(Ordering::Acquire);
        unshared
    }

    /// Barrier and limit of a resource.
    pub fn limits(&self, resource: Resource) -> Limits {
        self.counter(resource).limits()
    }

    /// Replaces barrier and limit of a resource, also below what is held:
    /// nothing is taken away, but HARD and SOFT charges fail until the use
    /// has fallen. A charge under way may still be measured against the old
    /// pair, never against half of each.
    ///
    /// # Errors
    ///
    /// A value above [`UNLIMITED`](crate::UNLIMITED). A barrier above the
    /// limit is none (042stab `kernel/bc/sys.c`).
    pub fn set_limits(&self, resource: Resource, limits: Limits) -> Result<(), SetLimitsError> {
        self.set_many(&[(resource, limits)])
    }

    /// Replaces the thresholds of several resources: all of them, or none. A
    /// reading sees either none or all of the change. Of one resource named
    /// twice the later pair stays.
    ///
    /// # Errors
    ///
    /// The first pair with a value above [`UNLIMITED`](crate::UNLIMITED).
    pub fn set_many(&self, limits: &[(Resource, Limits)]) -> Result<(), SetLimitsError> {
        for &(resource, pair) in limits {
            pair.checked().map_err(|reason| SetLimitsError { resource, reason })?;
        }
        let _turn = self.node.control.baselines.lock();
        for &(resource, pair) in limits {
            let set = self.counter(resource).set_limits(pair);
            set.map_err(|reason| SetLimitsError { resource, reason })?;
            // What is in a stock was measured against the old pair.
            self.drain_stocks(resource);
        }
        Ok(())
    }

    /// The numbers of one resource.
    pub fn row(&self, resource: Resource) -> Row {
        let _turn = self.node.control.baselines.lock();
        self.shown(resource)
    }

    /// The numbers of all resources.
    ///
    /// Limits, resets and observations are as of one moment. Charges go on
    /// meanwhile: each row is sound in itself (`maxheld >= held`), but two
    /// rows may be a few charges apart, as in the kernel's file.
    pub fn reading(&self) -> Reading {
        let _turn = self.node.control.baselines.lock();
        let rows = PerResource::from_fn(|resource| self.shown(resource));
        Reading { id: self.id().own(), rows }
    }

    /// Who owns the numbers of a row: the engine or the kernel.
    pub fn source(&self, resource: Resource) -> Source {
        self.counter(resource).source()
    }

    /// Starts a new period for one resource: `maxheld` and `minheld` become
    /// `held`, as at the end of a `ubstat` period (042stab
    /// `kernel/bc/statd.c`). `failcnt` stays.
    pub fn reset_maxheld(&self, resource: Resource) {
        let mut baselines = self.node.control.baselines.lock();
        self.reset_counter(resource);
        baselines[resource].forget_peak();
    }

    /// Starts a new period for all resources.
    pub fn reset_all_maxheld(&self) {
        let mut baselines = self.node.control.baselines.lock();
        for (resource, baseline) in baselines.iter_mut() {
            self.reset_counter(resource);
            baseline.forget_peak();
        }
    }

    /// Raises `failcnt` by one for a failure that no charge here made: after
    /// quiet charges and a vain reclaim, or for an OOM kill (042stab counts
    /// those in `oomguarpages`). Only at this level.
    pub fn count_refusal(&self, resource: Resource) {
        self.counter(resource).count_refusal();
    }

    /// Whether more was ever given back than had been charged (042stab
    /// `UB_UNDERFLOW`). It stays set: the numbers are not to be trusted.
    pub fn underflowed(&self) -> bool {
        self.node.control.underflow.load(Ordering::Relaxed)
    }

    /// What is charged (not observed) now, in slot order, zeros left out.
    pub fn charged(&self) -> impl Iterator<Item = (Resource, u64)> {
        Resource::ALL.into_iter().filter_map(|resource| {
            let source = self.source(resource);
            let charged = if source == Source::Charged { self.shown(resource).held } else { 0 };
            (charged > 0).then_some((resource, charged))
        })
    }

    /// Runs with the turn of readings and observations.
    pub(crate) fn with_baselines<T>(&self, act: impl FnOnce(&mut PerResource<Baseline>) -> T) -> T {
        act(&mut self.node.control.baselines.lock())
    }
}

impl fmt::Debug for Beancounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = Resource::ALL.into_iter().map(|r| (r, self.shown(r).held));
        let mut held = f.debug_struct("Beancounter");
        held.field("id", &self.id());
        for (resource, amount) in rows.filter(|(_, amount)| *amount > 0) {
            held.field(resource.name(), &amount);
        }
        held.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
