//! A charge made through a stock, as a value.

use core::fmt;

use super::Stock;
use crate::{Ask, Beancounter, Charge, ChargeError};

/// Units held until this is dropped; then the stock they came through takes
/// them in again.
///
/// It stays with its stock and so with its thread. Units that are to go
/// elsewhere go as a [`Charge`]: [`StockCharge::into_charge`].
#[must_use = "a charge that is dropped is given back at once"]
pub struct StockCharge<'a> {
    stock: &'a Stock,
    amount: u64,
}

impl Stock {
    /// Takes `n` units, and returns the guard that gives them back.
    ///
    /// # Errors
    ///
    /// As [`Beancounter::charge_raw`].
    #[inline]
    pub fn charge(&self, n: u64, ask: impl Into<Ask>) -> Result<StockCharge<'_>, ChargeError> {
        self.charge_raw(n, ask)?;
        Ok(StockCharge { stock: self, amount: n })
    }
}

impl StockCharge<'_> {
    /// How many units are held.
    pub fn amount(&self) -> u64 {
        self.amount
    }

    /// The same units in a guard that can be kept and dropped anywhere. They
    /// will go back to the counters.
    pub fn into_charge(mut self) -> Charge<Beancounter> {
        let amount = core::mem::take(&mut self.amount);
        Charge::adopt(self.stock.owner().clone(), self.stock.resource(), amount)
    }

    /// Leaves the units charged and hands the amount over: from now on the
    /// caller's table answers for it.
    #[must_use = "somebody has to remember what to give back"]
    pub fn forget(mut self) -> u64 {
        core::mem::take(&mut self.amount)
    }
}

impl Drop for StockCharge<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.amount > 0 {
            // As when a `Charge` is dropped.
            let _ = self.stock.uncharge(self.amount);
        }
    }
}

impl fmt::Debug for StockCharge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StockCharge({} through {:?})", self.amount, self.stock)
    }
}
