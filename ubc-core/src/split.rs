//! A host divided among equal containers: vzsplit's arithmetic.
//!
//! The more containers, the scarcer the memory: three levels of shortage are
//! tried in turn, from plenty to want, and below them what is left is shared
//! out. Constants and levels are vzsplit's (vzctl); arithmetic is in whole
//! numbers, in thousandths where vzsplit multiplied by a fraction, so that
//! every machine divides alike.

use crate::memory::Memory;
use crate::page::clamp;
use crate::{Limits, PageSize, PerResource, Resource, UNLIMITED};

/// What to divide, and among how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// Its memory.
    pub memory: Memory,
    /// The most threads its kernel allows (`kernel.threads-max`).
    pub threads: u64,
    /// Its page size.
    pub page: PageSize,
}

/// The limits of one container among equals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// A barrier and a limit for every row but swappages.
    pub limits: PerResource<Option<Limits>>,
    /// How many processes to expect on average.
    pub avnumproc: u64,
    /// 0: plenty, to 3: want.
    pub shortage: u8,
}

/// Why a host cannot be divided so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// Too many for its memory.
    #[error("this host has room for {most} containers; accepted: 1 to {most}")]
    TooMany {
        /// How many it has memory for.
        most: u64,
    },
    /// Nothing fits, not even one.
    #[error("this host has too little memory for a container; accepted: 64 MiB and more")]
    TooSmall,
}

/// Bytes kept for the host itself.
const RESERVED: u64 = 50 << 20;
/// Least of RAM and swap, and least of low memory, for one container, in bytes.
const LEAST: (u64, u64) = (5_542_912, 1_348_608);
const LEAST_PROCESSES: u128 = 30;
const LEAST_GUARANTEE: u128 = 1024;
const TCP: u128 = 64 << 10;
const DATAGRAM: u128 = 32 << 10;
const PACKET: u128 = 2560;

/// How generous a level of shortage is. Factors are in thousandths.
struct Level {
    kernel: u128,
    processes: u128,
    most_per_average: u128,
    kernel_of_process: u128,
    buffer: u128,
    buffer_of_process: u128,
    signals: u64,
    names: u128,
    space: u128,
    locked: u128,
    least_low: u128,
}

const LEVELS: [Level; 3] = [
    Level {
        kernel: 1000,
        processes: 1000,
        most_per_average: 8,
        kernel_of_process: 81_920,
        buffer: 262_144,
        buffer_of_process: 4096,
        signals: 1024,
        names: 576,
        space: 6000,
        locked: 10,
        least_low: 10 << 20,
    },
    Level {
        kernel: 1200,
        processes: 1500,
        most_per_average: 5,
        kernel_of_process: 65_536,
        buffer: 131_072,
        buffer_of_process: 3036,
        signals: 512,
        // 460.8 in full.
        names: 460,
        space: 3000,
        locked: 3,
        least_low: 2 << 20,
    },
    Level {
        kernel: 1800,
        processes: 2000,
        most_per_average: 3,
        kernel_of_process: 53_248,
        buffer: 65_536,
        buffer_of_process: 2560,
        signals: 256,
        names: 384,
        space: 1500,
        locked: 1,
        least_low: 0,
    },
];

/// What the levels decide; the rest follows.
struct Basis {
    kernel: u128,
    processes: u128,
    average: u128,
    guarantee: u128,
    tcp_send: Limits,
    tcp_receive: Limits,
    other: Limits,
    datagram: Limits,
}

/// Divides a host among so many containers.
///
/// # Errors
///
/// More containers than the memory is for, or a host too small for any.
///
/// # Examples
///
/// ```
/// use ubc_core::memory::Memory;
/// use ubc_core::split::{Host, split};
/// use ubc_core::{PageSize, Resource};
///
/// let gib = 1 << 30;
/// let memory = Memory { ram: 4 * gib, swap: 4 * gib, low: 4 * gib };
/// let host = Host { memory, threads: 32_000, page: PageSize::DEFAULT };
/// let container = split(&host, 10)?;
/// assert_eq!(container.limits[Resource::NumProc].map(|pair| pair.limit), Some(2096));
/// # Ok::<(), ubc_core::split::SplitError>(())
/// ```
pub fn split(host: &Host, containers: u64) -> Result<Split, SplitError> {
    let Memory { ram, swap, low } = host.memory;
    let all = ram.saturating_add(swap).saturating_sub(RESERVED);
    let most = (all / LEAST.0).min(low.saturating_sub(RESERVED) / LEAST.1);
    match most {
        0 => return Err(SplitError::TooSmall),
        most if containers == 0 || containers > most => {
            return Err(SplitError::TooMany { most });
        }
        _ => {}
    }
    let number = u128::from(containers);
    let share = Shared {
        all: u128::from(all) / number,
        low: u128::from(low),
        // More make any kernel slow.
        threads: u128::from(host.threads.min(if low > 2 << 30 { 16_000 } else { 8000 })),
        page: u128::from(host.page.bytes()),
        number,
    };
    let basis = LEVELS
        .iter()
        .enumerate()
        .find_map(|(shortage, level)| share.basis(level).map(|basis| (shortage, level, basis)));
    let (shortage, level, basis) = match basis {
        Some(found) => found,
        None => (
            3,
            &LEVELS[2],
            share.want().ok_or(SplitError::TooMany { most: most.min(containers - 1).max(1) })?,
        ),
    };
    let limits = rows(level, &basis, u128::from(host.memory.ram), &share);
    #[expect(clippy::cast_possible_truncation, reason = "0 to 3")]
    let shortage = shortage as u8;
    Ok(Split { limits, avnumproc: clamp(basis.average), shortage })
}

/// One container's share of the host.
struct Shared {
    /// RAM and swap, in bytes.
    all: u128,
    /// Low memory of the whole host, in bytes.
    low: u128,
    /// Of the whole host.
    threads: u128,
    page: u128,
    number: u128,
}

impl Shared {
    /// Low memory of one container at this factor, and the pages guaranteed to
    /// it.
    fn low(&self, factor: u128) -> (u128, u128) {
        let low = self.low * 4 * factor / 10_000 / self.number;
        let guarantee = self.all.saturating_sub(low) / self.page;
        if guarantee < LEAST_GUARANTEE {
            return (self.all.saturating_sub(LEAST_GUARANTEE * self.page), LEAST_GUARANTEE);
        }
        (low, guarantee)
    }

    /// What a level makes of it, if there is enough for that.
    fn basis(&self, level: &Level) -> Option<Basis> {
        let (low, guarantee) = self.low(level.kernel);
        let kernel = low / 2;
        let average = kernel / level.kernel_of_process;
        if low < level.least_low || average < LEAST_PROCESSES / 2 {
            return None;
        }
        let processes = level.processes * self.threads / 1000 / self.number;
        let processes =
            processes.max(LEAST_PROCESSES).max(2 * average).min(average * level.most_per_average);
        let tcp = (low - kernel) / 3;
        let gap = level.buffer_of_process * processes;
        if tcp < level.buffer + gap {
            return None;
        }
        let rest = tcp - gap;
        let tcp = pair(rest, tcp);
        Some(Basis {
            kernel,
            processes,
            average,
            guarantee,
            tcp_send: tcp,
            tcp_receive: tcp,
            other: pair(rest / 2, rest / 2 + gap),
            datagram: pair(rest / 2, rest / 2),
        })
    }

    /// What is left below all levels: as few processes as it takes.
    fn want(&self) -> Option<Basis> {
        let (low, guarantee) = self.low(2000);
        let level = &LEVELS[2];
        let mut processes = level.processes * self.threads / 1000 / self.number;
        loop {
            processes = (processes / 2).max(LEAST_PROCESSES);
            let average = processes / 2;
            let gap = PACKET * processes;
            let kernel = low.checked_sub(2 * (DATAGRAM + TCP + gap));
            let rest =
                kernel.and_then(|kernel| kernel.checked_sub(average * level.kernel_of_process));
            let (Some(kernel), Some(rest)) = (kernel, rest) else {
                if processes == LEAST_PROCESSES {
                    return None;
                }
                continue;
            };
            return Some(Basis {
                kernel: kernel + rest.saturating_sub(gap),
                processes,
                average,
                guarantee,
                tcp_send: pair(TCP, TCP + gap),
                tcp_receive: pair(TCP, TCP + rest.min(gap)),
                other: pair(DATAGRAM, DATAGRAM + gap),
                datagram: pair(DATAGRAM, DATAGRAM),
            });
        }
    }
}

/// The rows that follow.
fn rows(level: &Level, basis: &Basis, ram: u128, share: &Shared) -> PerResource<Option<Limits>> {
    let tenth_more = |amount: u128| amount * 11 / 10;
    let files = 32 * basis.average;
    let names = files * level.names;
    let locks = (files / 10).min(1000);
    let mut space = basis.guarantee * level.space / 1000;
    let mut guarantee = basis.guarantee;
    // One container must not be able to take most of the RAM from the others.
    // vzsplit raised the guarantee to that as well, and so promised more than there is.
    let most = ram * 6 / 10 / share.page;
    if share.number > 1 && space > most {
        space = most;
        guarantee = guarantee.min(most);
    }
    PerResource::from_fn(|row| {
        let both = |amount: u128| pair(amount, amount);
        let limits = match row {
            Resource::KmemSize => pair(basis.kernel, tenth_more(basis.kernel)),
            Resource::LockedPages => both((basis.kernel * level.locked / 204_800).max(4)),
            Resource::PrivvmPages => pair(space, tenth_more(space)),
            Resource::ShmPages => both(space / 10),
            Resource::NumProc | Resource::NumTcpSock | Resource::NumOtherSock => {
                both(basis.processes)
            }
            Resource::PhysPages => Limits { barrier: 0, limit: UNLIMITED },
            Resource::VmGuarPages | Resource::OomGuarPages => {
                Limits { barrier: clamp(guarantee), limit: UNLIMITED }
            }
            Resource::NumFlock => pair(locks, tenth_more(locks)),
            Resource::NumPty => both((basis.processes / 10).clamp(4, 512)),
            Resource::NumSigInfo => both(level.signals.into()),
            Resource::TcpSndBuf => basis.tcp_send,
            Resource::TcpRcvBuf => basis.tcp_receive,
            Resource::OtherSockBuf => basis.other,
            Resource::DgramRcvBuf => basis.datagram,
            Resource::DcacheSize => pair(names * 100 / 103, names),
            Resource::NumFile => both(files),
            Resource::NumIptEnt => both((2000 / share.number).clamp(4, 200)),
            Resource::SwapPages => return None,
        };
        Some(limits)
    })
}

fn pair(barrier: u128, limit: u128) -> Limits {
    Limits { barrier: clamp(barrier), limit: clamp(limit) }
}

#[cfg(test)]
mod tests;
