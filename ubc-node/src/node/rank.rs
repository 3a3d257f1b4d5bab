//! The out-of-memory order of all containers.

use std::collections::BTreeSet;

use log::debug;

use super::roster::Roster;
use crate::oom::places;

impl Roster {
    /// Places every container that has a guarantee anew. `scarce`: memory is
    /// running out.
    pub(crate) fn rank(&self, scarce: bool) {
        // One at a time, and so the last one has the last word.
        let _turn = self.ranking.lock();
        // Oldest first: of equals the first one is chosen.
        let (containers, contenders): (Vec<_>, Vec<_>) = self
            .containers()
            .into_iter()
            .rev()
            .filter_map(|container| container.contender().map(|contender| (container, contender)))
            .unzip();
        let memories: BTreeSet<Option<String>> =
            contenders.iter().flat_map(|one| &one.domains).map(|one| one.name.clone()).collect();
        self.pressures.watch(&self.host, &memories);
        for (container, place) in containers.iter().zip(places(&contenders, scarce)) {
            debug!("container {}: oom_score_adj {place:?}", container.id());
            container.place(place);
        }
    }
}
