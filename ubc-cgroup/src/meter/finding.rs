//! Findings, and which of two is the better.

use std::borrow::Cow;

use ubc_core::{Observation, PerResource, Resource};

use ubc_bpf::Surroundings;

use crate::walk::Cut;
use crate::{Bound, Metered};

/// How good a source is for a row; the highest wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rank {
    /// Put together from `/proc` for want of a counter.
    Fallback,
    /// Counted by a pass over the kernel's own objects.
    Pass,
    /// The kernel's own count of the thing.
    Kernel,
    /// A program of ours in the kernel that counts as OpenVZ did.
    Program,
}

/// What a meter says of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The numbers, in the row's unit.
    pub observation: Observation,
    /// How good the source is.
    pub rank: Rank,
    /// The source as the status table prints it.
    pub source: Cow<'static, str>,
    /// How near to the truth.
    pub bound: Bound,
}

/// The findings of one reading.
#[derive(Debug)]
pub struct Findings {
    rows: PerResource<Option<Finding>>,
    absent: PerResource<Option<Cow<'static, str>>>,
    private: Option<u64>,
    lockless: bool,
    surroundings: Option<Surroundings>,
}

impl Default for Findings {
    fn default() -> Self {
        Findings {
            rows: PerResource::from_fn(|_| None),
            absent: PerResource::from_fn(|_| None),
            private: None,
            lockless: false,
            surroundings: None,
        }
    }
}

impl Findings {
    /// Adds a finding; it stays if no other of the same or a higher rank is
    /// there. Refusals are summed: whoever counts them counts only its own, and
    /// two may refuse the same thing (a program and `pids.max` a fork).
    pub fn add(&mut self, resource: Resource, mut finding: Finding) {
        let row = &mut self.rows[resource];
        let Some(present) = row else {
            *row = Some(finding);
            return;
        };
        let refusals = match (present.observation.failures, finding.observation.failures) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        if present.rank < finding.rank {
            std::mem::swap(present, &mut finding);
        }
        present.observation.failures = refusals;
    }

    /// Says why a row has no number, in case nobody else has one.
    pub fn absent(&mut self, resource: Resource, reason: impl Into<Cow<'static, str>>) {
        self.absent[resource].get_or_insert(reason.into());
    }

    /// Whether a row was found by something better than a fallback.
    pub fn has(&self, resource: Resource) -> bool {
        self.rows[resource].as_ref().is_some_and(|finding| finding.rank > Rank::Fallback)
    }

    /// What was found of a row so far.
    pub fn held(&self, resource: Resource) -> Option<u64> {
        self.rows[resource].as_ref()?.observation.held
    }

    pub(super) fn fallback(
        &mut self,
        resource: Resource,
        held: u64,
        source: &'static str,
        bound: Bound,
    ) {
        let observation = Observation::held(held);
        self.add(
            resource,
            Finding { observation, rank: Rank::Fallback, source: source.into(), bound },
        );
    }

    /// Adds to a row what the kernel's own count leaves out.
    pub(super) fn raise(&mut self, resource: Resource, more: u64, source: &'static str) {
        if let Some(finding) = &mut self.rows[resource]
            && finding.rank == Rank::Kernel
            && more > 0
        {
            finding.observation.held = finding.observation.held.map(|n| n.saturating_add(more));
            finding.source = source.into();
        }
    }

    /// Whether the best there is of a row is of this rank.
    pub(crate) fn is_from(&self, resource: Resource, rank: Rank) -> bool {
        self.rows[resource].as_ref().is_some_and(|finding| finding.rank == rank)
    }

    /// Adds what a pass could not see to what it found.
    pub(super) fn complete(
        &mut self,
        resource: Resource,
        more: u64,
        source: &'static str,
        bound: Bound,
    ) {
        if let Some(finding) = &mut self.rows[resource]
            && finding.rank == Rank::Pass
        {
            finding.observation.held = finding.observation.held.map(|n| n.saturating_add(more));
            finding.source = source.into();
            finding.bound = bound;
        }
    }

    /// Private pages of all address spaces: privvmpages without shared memory,
    /// which is found later.
    pub(crate) fn set_private(&mut self, pages: u64) {
        self.private = Some(pages);
    }

    /// No file of the container has a lock.
    pub(crate) fn set_lockless(&mut self) {
        self.lockless = true;
    }

    pub(super) fn is_lockless(&self) -> bool {
        self.lockless
    }

    pub(super) fn private(&self) -> Option<u64> {
        self.private
    }

    /// Where the container's tasks are, from a pass.
    pub(crate) fn set_surroundings(&mut self, surroundings: Option<Surroundings>) {
        self.surroundings = surroundings;
    }

    pub(super) fn take_surroundings(&mut self) -> Option<Surroundings> {
        self.surroundings.take()
    }

    /// Takes back what was counted from a walk that was cut short: half a
    /// count is worse than none.
    pub(super) fn cut(&mut self, cut: Cut) {
        use Resource::{
            DgramRcvBuf, NumFile, NumFlock, NumIptEnt, NumOtherSock, NumPty, NumTcpSock,
            OtherSockBuf, PrivvmPages, ShmPages, TcpRcvBuf, TcpSndBuf,
        };
        const SOCKETS: [Resource; 6] =
            [NumTcpSock, NumOtherSock, TcpSndBuf, TcpRcvBuf, OtherSockBuf, DgramRcvBuf];
        let (reason, rows): (_, &[Resource]) = match cut {
            Cut::Processes => ("too many processes", &Resource::ALL),
            Cut::Descriptors => ("too many descriptors", &[NumFile, NumPty, NumFlock]),
            Cut::Namespaces => {
                ("too many namespaces or mounts", &[NumIptEnt, ShmPages, PrivvmPages])
            }
        };
        let sockets = SOCKETS.iter().filter(|_| cut != Cut::Processes);
        for resource in rows.iter().chain(sockets) {
            let row = &mut self.rows[*resource];
            // A pass sees everything, but the shared memory in this row is a walk's.
            let least =
                if *resource == Resource::PrivvmPages { Rank::Pass } else { Rank::Fallback };
            if row.as_ref().is_some_and(|finding| finding.rank <= least) {
                *row = None;
                self.absent[*resource] = Some(reason.into());
            }
        }
    }

    pub(super) fn finish(mut self) -> (PerResource<Observation>, PerResource<Metered>) {
        let rows = PerResource::from_fn(|resource| {
            self.rows[resource].as_ref().map(|finding| finding.observation).unwrap_or_default()
        });
        let metered = PerResource::from_fn(|resource| {
            if let Some(Finding { source, bound, .. }) = self.rows[resource].take() {
                return Metered::By { source, bound };
            }
            let reason = self.absent[resource].take();
            Metered::Absent(reason.unwrap_or_else(|| default_reason(resource).into()))
        });
        (rows, metered)
    }
}

/// Why a row is absent when no meter said.
pub(crate) fn default_reason(resource: Resource) -> &'static str {
    match resource {
        Resource::KmemSize | Resource::DcacheSize => "memory controller is not in cgroup v2 here",
        Resource::VmGuarPages => "a guarantee, it holds nothing",
        _ => "nothing here counts it",
    }
}
