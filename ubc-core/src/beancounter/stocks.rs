//! What stocks mean for everything else: nothing idle is held, and nothing is
//! refused that an idle stock could give.

use super::Beancounter;
use crate::{Ask, ChargeError, Denied, Resource, Row, Severity};

impl Beancounter {
    /// The numbers of one resource without what is idle in stocks.
    pub(crate) fn shown(&self, resource: Resource) -> Row {
        let counter = self.counter(resource);
        let row = counter.row();
        // After the row: who read units of a stock sees that there is one.
        let Some(pool) = self.root().pool().if_used() else { return row };
        pool.lock().with_idle(self, resource, |idle| {
            let row = counter.row();
            // A caller that gave back too much through a stock owes the rest.
            Row { held: row.held.saturating_sub(idle), ..row }
        })
    }

    /// Gives back what is idle in stocks in front of this beancounter and
    /// those below it.
    pub(crate) fn drain_stocks(&self, resource: Resource) {
        if let Some(pool) = self.root().pool().if_used() {
            pool.lock().drain(self, resource);
        }
    }

    pub(crate) fn drain_all_stocks(&self) {
        for resource in Resource::ALL {
            self.drain_stocks(resource);
        }
    }

    /// A new period begins with what is held, and so without stocks.
    pub(super) fn reset_counter(&self, resource: Resource) {
        let turn = self.root().pool().if_used().map(super::Pool::lock);
        if let Some(shards) = &turn {
            shards.drain(self, resource);
        }
        self.counter(resource).reset_maxheld();
    }

    /// Decides a charge that the counter of `level` did not take: again, when
    /// all idle units at levels that refuse have been given back.
    #[cold]
    #[inline(never)]
    pub(super) fn refused<'a>(
        &'a self,
        stop: Option<&Beancounter>,
        resource: Resource,
        n: u64,
        ask: Ask,
        mut level: &'a Beancounter,
        mut denied: Denied,
    ) -> Result<(), ChargeError> {
        if let Some(pool) = self.root().pool().if_used() {
            // With the lock no stock is filled meanwhile: what a drained
            // level refuses stays refused.
            let shards = pool.lock();
            let mut drained: Option<&Beancounter> = None;
            while matches!(denied, Denied::Over { .. })
                && !drained.is_some_and(|top| level.levels_below(None).any(|at| at.is(top)))
            {
                shards.drain(level, resource);
                drained = Some(level);
                match self.ask_counters(stop, resource, n, ask.severity.quiet()) {
                    Ok(()) => {
                        drop(shards);
                        if ask.severity != Severity::Hard {
                            self.rein_in(stop, resource);
                        }
                        return Ok(());
                    }
                    Err(again) => (level, denied) = again,
                }
            }
        }
        if matches!(denied, Denied::Over { .. }) && !ask.quiet {
            level.count_refusal(resource);
        }
        Err(ChargeError::new(denied, level.id(), resource, n, ask))
    }

    /// After a charge that may pass the barrier: what is idle in stocks was
    /// within it, but would not be any more once it is used.
    #[cold]
    #[inline(never)]
    pub(super) fn rein_in(&self, stop: Option<&Beancounter>, resource: Resource) {
        if let Some(pool) = self.root().pool().if_used() {
            for level in self.levels_below(stop) {
                if level.counter(resource).is_over_barrier() {
                    pool.lock().drain(level, resource);
                }
            }
        }
    }
}
