//! Gates: what refuses in a mechanism's name, while somebody has a limit.

use super::{Enforcer, Standing, lock};
use crate::layout::Container;
use crate::mechanism::{MECHANISMS, Mechanism};
use crate::types::Types;
use crate::{Error, Result, load};

impl Enforcer {
    /// Puts up the gates that a container's limits need. On an error those that
    /// were not there before may be there: they do nothing to whom has no limit.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`]: the kernel does not take them.
    pub(super) fn open_gates(&self, container: &Container) -> Result<()> {
        for mechanism in self.gated() {
            let Some(gates) = mechanism.gates else { continue };
            if limits(container, mechanism) && !self.has_gates(mechanism) {
                let types = Types::default();
                load::load(gates, &self.place, &self.generation, &self.sizes, &types)?;
            }
        }
        Ok(())
    }

    /// Takes down the gates of rows that a container had a limit of, if nobody has
    /// one any more. That they stay would only cost time.
    pub(super) fn close_gates(&self, was: &Container, now: &Container) {
        for mechanism in self.gated().filter(|m| limits(was, m) && !limits(now, m)) {
            if let Err(error) = self.close_if_idle(mechanism) {
                log::warn!("{error}");
            }
        }
    }

    /// Makes gates fit the limits that were found: of programs before these, or
    /// of a process that ended in between. A mechanism whose gates the kernel does
    /// not take is taken down: what it said of its rows would not be true.
    ///
    /// # Errors
    ///
    /// The kernel's tables cannot be read, or programs not be removed.
    pub(super) fn fit_gates(&self) -> Result<()> {
        for (_, container) in self.maps.containers()? {
            while let Err(error) = self.open_gates(&container) {
                let Error::Refused { mechanism: name, reason } = error else { return Err(error) };
                let mut gated = self.gated();
                let Some(owner) = gated.find(|m| m.gates.is_some_and(|g| g.name == name)) else {
                    break;
                };
                log::warn!("{name}: {reason}");
                self.replace_while_locked(owner, &reason)?;
            }
        }
        self.gated().try_for_each(|mechanism| self.close_if_idle(mechanism))
    }

    /// Takes the gates of a mechanism down, if there are any.
    pub(super) fn take_down_gates(&self, mechanism: &Mechanism) -> Result<()> {
        let Some(gates) = mechanism.gates else { return Ok(()) };
        self.place.remove(&self.place.mechanism(&self.generation, gates.name))
    }

    fn close_if_idle(&self, mechanism: &Mechanism) -> Result<()> {
        if self.has_gates(mechanism)
            && !self.maps.containers()?.iter().any(|(_, container)| limits(container, mechanism))
        {
            self.take_down_gates(mechanism)?;
        }
        Ok(())
    }

    fn has_gates(&self, mechanism: &Mechanism) -> bool {
        let path = |gates: &Mechanism| self.place.mechanism(&self.generation, gates.name);
        mechanism.gates.is_some_and(|gates| path(gates).is_dir())
    }

    /// Mechanisms on duty that have gates.
    fn gated(&self) -> impl Iterator<Item = &'static Mechanism> + use<> {
        let standings = lock(&self.standings).clone();
        MECHANISMS.iter().zip(standings).filter_map(|(mechanism, standing)| {
            (standing == Standing::OnDuty && mechanism.gates.is_some()).then_some(mechanism)
        })
    }
}

/// Whether a container has a limit of a row of this mechanism.
fn limits(container: &Container, mechanism: &Mechanism) -> bool {
    mechanism.resources.iter().any(|row| !container.limits[*row].is_unlimited())
}
