//! Rules 1 to 12 and 15: configurations that set each resource.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::finding::Shown;
use super::{Config, Finding, Level, Rule};
use crate::{Limits, Resource, UNLIMITED};

const KIB: u64 = 1 << 10;

/// Resources whose barrier is their limit.
pub(super) const ONE_VALUE: [Resource; 8] = [
    Resource::NumProc,
    Resource::NumTcpSock,
    Resource::NumOtherSock,
    Resource::ShmPages,
    Resource::NumFile,
    Resource::NumPty,
    Resource::NumSigInfo,
    Resource::NumIptEnt,
];

/// Resources that may have a gap between barrier and limit.
pub(super) const TWO_VALUES: [Resource; 9] = [
    Resource::KmemSize,
    Resource::TcpSndBuf,
    Resource::TcpRcvBuf,
    Resource::OtherSockBuf,
    Resource::DgramRcvBuf,
    Resource::PrivvmPages,
    Resource::LockedPages,
    Resource::NumFlock,
    Resource::DcacheSize,
];

pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    let mut check = Check { config, findings };
    check.pairs();
    check.promises();
    check.kernel_memory();
    check.guarantee();
    check.gaps();
    check.barriers();
    check.files();
    check.host();
}

struct Check<'a> {
    config: &'a Config,
    findings: &'a mut Vec<Finding>,
}

impl Check<'_> {
    fn limits(&self, resource: Resource) -> Option<Limits> {
        self.config.limits[resource]
    }

    fn barrier(&self, resource: Resource) -> Option<u64> {
        self.limits(resource).map(|pair| pair.barrier)
    }

    fn add(&mut self, rule: Rule, level: Level, resources: &[Resource], message: String) {
        self.findings.push(Finding { rule, level, resources: resources.into(), message });
    }

    /// Rules 1 and 2: barrier against limit.
    fn pairs(&mut self) {
        for resource in ONE_VALUE {
            let Some(Limits { barrier, limit }) = self.limits(resource) else { continue };
            if barrier != limit {
                let message = format!(
                    "{resource}: barrier {} is not equal to limit {}",
                    Shown(barrier),
                    Shown(limit)
                );
                self.add(Rule::BarrierIsLimit, Level::Error, &[resource], message);
            }
        }
        for resource in TWO_VALUES {
            let Some(Limits { barrier, limit }) = self.limits(resource) else { continue };
            if barrier > limit {
                let message = format!(
                    "{resource}: barrier {} is above limit {}",
                    Shown(barrier),
                    Shown(limit)
                );
                self.add(Rule::BarrierWithinLimit, Level::Error, &[resource], message);
            }
        }
    }

    /// Rule 3: numbers that were never applied.
    fn promises(&mut self) {
        for resource in [Resource::VmGuarPages, Resource::OomGuarPages, Resource::PhysPages] {
            let Some(Limits { barrier, limit }) = self.limits(resource) else { continue };
            if limit != UNLIMITED {
                let message = format!("{resource}: limit {limit} is not unlimited");
                self.add(Rule::OnlyPromises, Level::Error, &[resource], message);
            }
            if resource == Resource::PhysPages && barrier != 0 {
                let message = format!("{resource}: barrier {} is not 0", Shown(barrier));
                self.add(Rule::OnlyPromises, Level::Error, &[resource], message);
            }
        }
    }

    /// Rules 4 and 5: memory for names and for processes.
    fn kernel_memory(&mut self) {
        let dcache = self.limits(Resource::DcacheSize).map(|pair| pair.limit);
        if let (Some(limit), Some(files)) = (dcache, self.barrier(Resource::NumFile)) {
            let need = 384 * u128::from(files);
            if is_below(limit, need) {
                let message =
                    format!("dcachesize: limit {limit} is below 384 x numfile {files} = {need}");
                let resources = [Resource::DcacheSize, Resource::NumFile];
                self.add(Rule::NamesOfOpenFiles, Level::Warning, &resources, message);
            }
        }
        if let (Some(barrier), Some(processes), Some(dcache)) =
            (self.barrier(Resource::KmemSize), self.config.expected_processes(), dcache)
        {
            let need = u128::from(40 * KIB) * u128::from(processes) + u128::from(dcache);
            if is_below(barrier, need) {
                let message = format!(
                    "kmemsize: barrier {barrier} is below 40960 x avnumproc {processes} + \
                     dcachesize limit {} = {need}",
                    Shown(dcache)
                );
                let resources = [Resource::KmemSize, Resource::NumProc, Resource::DcacheSize];
                self.add(Rule::KernelMemoryOfProcesses, Level::Error, &resources, message);
            }
        }
    }

    /// Rule 6: what is guaranteed must not be refused.
    fn guarantee(&mut self) {
        let (space, promise) = (Resource::PrivvmPages, Resource::VmGuarPages);
        if let (Some(barrier), Some(guaranteed)) = (self.barrier(space), self.barrier(promise))
            && barrier < guaranteed
        {
            let message = format!(
                "{space}: barrier {barrier} is below {promise} barrier {}",
                Shown(guaranteed)
            );
            self.add(Rule::GuaranteeWithinReach, Level::Warning, &[space, promise], message);
        }
    }

    /// Rules 7, 8 and 9: one packet above the barrier for each socket.
    fn gaps(&mut self) {
        for (rule, level, buffer, sockets) in [
            (Rule::TcpSendGap, Level::Error, Resource::TcpSndBuf, Resource::NumTcpSock),
            (Rule::OtherSendGap, Level::Error, Resource::OtherSockBuf, Resource::NumOtherSock),
            (Rule::TcpReceiveGap, Level::Warning, Resource::TcpRcvBuf, Resource::NumTcpSock),
        ] {
            let (Some(Limits { barrier, limit }), Some(count)) =
                (self.limits(buffer), self.barrier(sockets))
            else {
                continue;
            };
            // A barrier above the limit is rule 2's; there is no gap to judge.
            let Some(gap) = limit.checked_sub(barrier) else { continue };
            let need = u128::from(5 * KIB / 2) * u128::from(count);
            if limit != UNLIMITED && u128::from(gap) < need {
                let message = format!(
                    "{buffer}: limit {limit} - barrier {barrier} = {gap} is below \
                     2560 x {sockets} {} = {need}",
                    Shown(count)
                );
                self.add(rule, level, &[buffer, sockets], message);
            }
        }
    }

    /// Rules 10 and 11: one large packet below the barrier.
    fn barriers(&mut self) {
        use Level::{Recommendation, Warning};
        const TCP: &[(u64, Level)] = &[(64 * KIB, Warning)];
        const DATAGRAM: &[(u64, Level)] = &[(32 * KIB, Warning), (129 * KIB, Recommendation)];
        for (rule, buffer, steps) in [
            (Rule::TcpWindow, Resource::TcpRcvBuf, TCP),
            (Rule::TcpWindow, Resource::TcpSndBuf, TCP),
            (Rule::DatagramSize, Resource::DgramRcvBuf, DATAGRAM),
            (Rule::DatagramSize, Resource::OtherSockBuf, DATAGRAM),
        ] {
            let Some(barrier) = self.barrier(buffer) else { continue };
            // Only the first step missed counts: the next ones follow.
            if let Some(&(need, level)) = steps.iter().find(|&&(need, _)| barrier < need) {
                let message = format!("{buffer}: barrier {barrier} is below {need}");
                self.add(rule, level, &[buffer], message);
            }
        }
    }

    /// Rule 12: files for processes, sockets and terminals. What is not set
    /// asks for nothing.
    fn files(&mut self) {
        let Some(files) = self.barrier(Resource::NumFile) else { return };
        let processes = self.config.expected_processes().unwrap_or(0);
        let for_processes = 32 * u128::from(processes);
        let users = [Resource::NumTcpSock, Resource::NumOtherSock, Resource::NumPty];
        let counts = users.map(|resource| self.barrier(resource).unwrap_or(0));
        let for_others: u128 = counts.into_iter().map(u128::from).sum();
        let (need, why, who) = if for_processes >= for_others {
            (for_processes, format!("32 x avnumproc {processes}"), &[Resource::NumProc][..])
        } else {
            let [tcp, other, pty] = counts.map(Shown);
            let why = format!("numtcpsock {tcp} + numothersock {other} + numpty {pty}");
            (for_others, why, &users[..])
        };
        if is_below(files, need) {
            let resources = [&[Resource::NumFile], who].concat();
            let message = format!("numfile: {files} is below {why} = {need}");
            self.add(Rule::FilesOfProcesses, Level::Warning, &resources, message);
        }
    }

    /// Rule 15: one container must leave room for others.
    fn host(&mut self) {
        let (Some(host), Some(space)) = (self.config.host, self.limits(Resource::PrivvmPages))
        else {
            return;
        };
        let wanted = self.config.page.bytes_in(space.limit);
        if wanted * 10 > u128::from(host.ram) * 6 {
            let message = format!(
                "privvmpages: limit {} x {} = {wanted} bytes is above 60 % of the host's RAM, \
                 {} bytes",
                Shown(space.limit),
                self.config.page.bytes(),
                host.ram
            );
            self.add(Rule::OneContainerOfMany, Level::Warning, &[Resource::PrivvmPages], message);
        }
    }
}

/// Whether a threshold is smaller than what it should hold. No threshold at
/// all never is.
fn is_below(threshold: u64, need: u128) -> bool {
    threshold != UNLIMITED && u128::from(threshold) < need
}
