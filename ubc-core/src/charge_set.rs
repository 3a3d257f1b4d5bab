//! Charges of several resources that stand or fall together.

use crate::{Ask, Beancounter, Charge, ChargeError, PerResource, Resource};

/// Units of several resources of one beancounter, held until this is dropped.
#[derive(Debug)]
#[must_use = "charges that are dropped are given back at once"]
pub struct ChargeSet {
    owner: Beancounter,
    amounts: PerResource<u64>,
}

impl Beancounter {
    /// Takes several resources: all, or none.
    ///
    /// They are asked for in the order given. When one is refused, only its
    /// `failcnt` rises, and those before it are given back; the `maxheld`
    /// they reached for that moment stays. A resource may be named twice.
    ///
    /// # Errors
    ///
    /// That of the first resource that was not taken; as
    /// [`Beancounter::charge_raw`].
    pub fn charge_all(
        &self,
        wanted: &[(Resource, u64)],
        ask: impl Into<Ask>,
    ) -> Result<ChargeSet, ChargeError> {
        let ask = ask.into();
        // On an early return the set gives back what it has so far.
        let mut set = ChargeSet { owner: self.clone(), amounts: PerResource::default() };
        for &(resource, n) in wanted {
            self.charge_raw(resource, n, ask)?;
            set.amounts[resource] = set.amounts[resource].saturating_add(n);
        }
        Ok(set)
    }
}

impl ChargeSet {
    /// Who gets the units back.
    pub fn owner(&self) -> &Beancounter {
        &self.owner
    }

    /// How many units of a resource are held.
    pub fn amount(&self, resource: Resource) -> u64 {
        self.amounts[resource]
    }

    /// Takes the units of one resource out into a guard of their own.
    pub fn take(&mut self, resource: Resource) -> Charge {
        let amount = core::mem::take(&mut self.amounts[resource]);
        Charge::adopt(self.owner.clone(), resource, amount)
    }

    /// Leaves the units charged and hands the amounts over: from now on the
    /// caller's table answers for them.
    #[must_use = "somebody has to remember what to give back"]
    pub fn forget(mut self) -> PerResource<u64> {
        core::mem::take(&mut self.amounts)
    }

    /// Moves the units of all resources to another beancounter: all, or none.
    ///
    /// # Errors
    ///
    /// That of the first resource (in slot order) the new owner did not take;
    /// the set stays with its old owner.
    pub fn transfer(&mut self, to: &Beancounter, ask: impl Into<Ask>) -> Result<(), ChargeError> {
        let ask = ask.into();
        let common = self.owner.common(to);
        for (done, (resource, n)) in self.held().enumerate() {
            if let Err(error) = to.charge_below(common, resource, n, ask) {
                for (resource, n) in self.held().take(done) {
                    // Charged a moment ago; see `Charge::drop`.
                    let _ = to.uncharge_below(common, resource, n);
                }
                return Err(error);
            }
        }
        for (resource, n) in self.held() {
            let _ = self.owner.uncharge_below(common, resource, n);
        }
        self.owner = to.clone();
        Ok(())
    }

    /// What is held, in slot order, zeros left out.
    fn held(&self) -> impl Iterator<Item = (Resource, u64)> {
        self.amounts.iter().map(|(resource, n)| (resource, *n)).filter(|(_, n)| *n > 0)
    }
}

impl Drop for ChargeSet {
    fn drop(&mut self) {
        for (resource, n) in self.held() {
            // See `Charge::drop`.
            let _ = self.owner.uncharge(resource, n);
        }
    }
}

#[cfg(test)]
mod tests;
