//! What all containers hold, read together.

use std::io;

use ubc_cgroup::Round;
use ubc_core::Reading;

use super::Node;
use super::roster::Roster;
use crate::Description;
use crate::error::{ErrorKind, Result};

impl Node {
    /// Everything there is to tell of each container that has not ended, newest
    /// first: as [`Container::describe`](crate::Container::describe) of each, but
    /// what takes a look at the whole machine is looked at once for all.
    ///
    /// # Errors
    ///
    /// None. A container that ends meanwhile is left out; one that cannot be
    /// looked at has its last numbers, each with the reason why it is not
    /// measured.
    pub fn describe(&self) -> Result<Vec<Description>> {
        let round = self.roster.round();
        let mut told = Vec::new();
        for container in self.containers() {
            match container.describe_in(&round) {
                Ok(one) => told.push(one),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => told.push(container.describe_unread(&error)),
            }
        }
        Ok(told)
    }
}

impl Roster {
    /// The rows of all containers, read together. For the host, who waits for no
    /// reader inside and does not make them wait.
    pub(crate) fn readings(&self) -> io::Result<Vec<Reading>> {
        let round = self.round();
        let mut readings = Vec::new();
        for container in self.containers() {
            match container.read_or_last(&round) {
                Ok(reading) => readings.push(reading),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(readings)
    }

    fn round(&self) -> Round<'_> {
        Round::begin(self.programs.as_deref())
    }
}
