//! OpenVZ's sample configurations: limits that are known to fit together.
//!
//! (vzctl `etc/conf/ve-*.conf-sample`.)

use crate::{Limits, PageSize, PerResource, Resource, UNLIMITED, vswap::Vswap};

/// A classic sample: a barrier and a limit for every resource but swappages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The sample's name, as `vzctl set --applyconfig` takes it.
    pub name: &'static str,
    /// How many processes are expected on average (`AVNUMPROC`).
    pub avnumproc: u64,
    pairs: &'static [(Resource, u64, u64)],
}

impl Profile {
    /// The limits; `None` for swappages, which the classic samples do not
    /// set.
    pub fn limits(&self) -> PerResource<Option<Limits>> {
        PerResource::from_fn(|resource| {
            self.pairs
                .iter()
                .find(|&&(of, _, _)| of == resource)
                .map(|&(_, barrier, limit)| Limits { barrier, limit })
        })
    }
}

/// A container for common tasks: up to 240 processes, guaranteed 132 MiB with
/// pages of 4 KiB.
pub const VE_BASIC: Profile = Profile {
    name: "basic",
    avnumproc: 180,
    pairs: &[
        (Resource::KmemSize, 14_372_700, 14_790_164),
        (Resource::LockedPages, 2048, 2048),
        (Resource::PrivvmPages, 65_536, 69_632),
        (Resource::ShmPages, 21_504, 21_504),
        (Resource::NumProc, 240, 240),
        (Resource::PhysPages, 0, UNLIMITED),
        (Resource::VmGuarPages, 33_792, UNLIMITED),
        (Resource::OomGuarPages, 26_112, UNLIMITED),
        (Resource::NumTcpSock, 360, 360),
        (Resource::NumFlock, 188, 206),
        (Resource::NumPty, 16, 16),
        (Resource::NumSigInfo, 256, 256),
        (Resource::TcpSndBuf, 1_720_320, 2_703_360),
        (Resource::TcpRcvBuf, 1_720_320, 2_703_360),
        (Resource::OtherSockBuf, 1_126_080, 2_097_152),
        (Resource::DgramRcvBuf, 262_144, 262_144),
        (Resource::NumOtherSock, 360, 360),
        (Resource::DcacheSize, 3_409_920, 3_624_960),
        (Resource::NumFile, 9312, 9312),
        (Resource::NumIptEnt, 128, 128),
    ],
};

/// A very small container: up to 40 processes.
pub const VE_LIGHT: Profile = Profile {
    name: "light",
    avnumproc: 15,
    pairs: &[
        (Resource::KmemSize, 1_740_800, 1_847_296),
        (Resource::LockedPages, 4, 4),
        (Resource::PrivvmPages, 7680, 8448),
        (Resource::ShmPages, 1152, 1152),
        (Resource::NumProc, 40, 40),
        (Resource::PhysPages, 0, UNLIMITED),
        (Resource::VmGuarPages, 1725, UNLIMITED),
        (Resource::OomGuarPages, 1725, UNLIMITED),
        (Resource::NumTcpSock, 40, 40),
        (Resource::NumFlock, 50, 60),
        (Resource::NumPty, 4, 4),
        (Resource::NumSigInfo, 256, 256),
        (Resource::TcpSndBuf, 159_744, 262_144),
        (Resource::TcpRcvBuf, 159_744, 262_144),
        (Resource::OtherSockBuf, 135_168, 237_568),
        (Resource::DgramRcvBuf, 135_168, 196_608),
        (Resource::NumOtherSock, 40, 40),
        (Resource::DcacheSize, 196_608, 202_752),
        (Resource::NumFile, 512, 512),
        (Resource::NumIptEnt, 16, 16),
    ],
};

/// A VSwap sample: RAM and swap, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VswapProfile {
    /// The sample's name, as `vzctl set --applyconfig` takes it.
    pub name: &'static str,
    /// RAM, in bytes.
    pub ram: u64,
    /// Swap, in bytes.
    pub swap: u64,
}

impl VswapProfile {
    /// The same in pages of a machine, without an overcommit factor.
    pub fn vswap(&self, page: PageSize) -> Vswap {
        let pages = |bytes: u64| crate::page::clamp(page.pages_for(u128::from(bytes)));
        Vswap { ram: pages(self.ram), swap: pages(self.swap), overcommit: None }
    }
}

/// The VSwap samples; the first is vzctl's default.
pub const VSWAP: [VswapProfile; 5] = [
    VswapProfile { name: "vswap-256m", ram: 256 * MIB, swap: 512 * MIB },
    VswapProfile { name: "vswap-512m", ram: 512 * MIB, swap: 1024 * MIB },
    VswapProfile { name: "vswap-1024m", ram: 1024 * MIB, swap: 2048 * MIB },
    VswapProfile { name: "vswap-2g", ram: 2048 * MIB, swap: 4096 * MIB },
    VswapProfile { name: "vswap-4g", ram: 4096 * MIB, swap: 8192 * MIB },
];

const MIB: u64 = 1 << 20;

#[cfg(test)]
mod tests;
