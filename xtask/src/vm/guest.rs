//! The guests there are, and what is installed in them.

use std::fmt;

use clap::ValueEnum;

/// A system to test in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Guest {
    /// Debian 13, Linux 6.12
    #[default]
    Trixie,
    /// Debian 12, Linux 6.1
    Bookworm,
}

/// In every guest. Runtimes, the tools whose numbers ours are compared with,
/// what it takes to build a kernel module, to boot and to be talked to.
const COMMON: [&str; 32] = [
    "bpftool",
    "bubblewrap",
    "busybox-static",
    "crun",
    "dbus",
    "dkms",
    "e2fsprogs",
    "fuse3",
    "gcc",
    "htop",
    "iproute2",
    "iptables",
    "kmod",
    "linux-headers-cloud-amd64",
    "lsof",
    "lxc",
    "lxcfs",
    "make",
    "nftables",
    "openssh-server",
    "podman",
    "procps",
    "psmisc",
    "python3",
    "runc",
    "strace",
    "systemd",
    "systemd-sysv",
    "udev",
    "util-linux",
    "util-linux-extra",
    "zstd",
];

/// Only in trixie: names that differ, or what is too old elsewhere. The engines
/// are large, and one guest that has them is enough; curl talks to containerd's
/// CRI, whose own client is not in Debian.
const TRIXIE: [&str; 6] =
    ["containerd", "criu", "curl", "docker-cli", "docker.io", "systemd-container"];
/// Only in bookworm.
const BOOKWORM: [&str; 0] = [];

impl Guest {
    /// The suite, which is also the guest's name.
    pub(super) fn suite(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Bookworm => "bookworm",
        }
    }

    /// Units of those packages that are not to run by themselves: tests start
    /// engines of their own.
    pub(super) fn disabled(self) -> &'static [&'static str] {
        match self {
            Self::Trixie => &["containerd.service", "docker.service", "docker.socket"],
            Self::Bookworm => &[],
        }
    }

    /// The package that brings the kernel: the small one, made for virtual
    /// machines, which has what we need built in or as a module.
    pub(super) fn kernel(self) -> &'static str {
        match self {
            Self::Trixie | Self::Bookworm => "linux-image-cloud-amd64",
        }
    }

    /// Everything to install, the kernel included.
    pub(super) fn packages(self) -> Vec<&'static str> {
        let own: &[&str] = match self {
            Self::Trixie => &TRIXIE,
            Self::Bookworm => &BOOKWORM,
        };
        let mut all: Vec<_> = COMMON.iter().chain(own).copied().collect();
        all.push(self.kernel());
        all
    }
}

impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.suite())
    }
}
