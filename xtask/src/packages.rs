//! System packages: installed when missing, and said so.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::run::{Result, check};

/// Something the system must offer, and the Debian package that brings it.
struct Need {
    /// A program, or a file if it starts with a slash.
    thing: &'static str,
    package: &'static str,
}

const fn need(thing: &'static str, package: &'static str) -> Need {
    Need { thing, package }
}

/// What building needs: the kernel's programs are compiled by clang and put
/// there by libbpf, which reads ELF files.
const BUILD: [Need; 5] = [
    need("clang", "clang"),
    need("make", "make"),
    need("pkg-config", "pkg-config"),
    need("/usr/include/libelf.h", "libelf-dev"),
    need("/usr/include/zlib.h", "zlib1g-dev"),
];

/// What a container of `ubc run` needs.
const RUN: [Need; 2] = [need("busybox", "busybox-static"), need("runc", "runc")];

/// What packing needs.
const DIST: [Need; 5] = [
    need("dpkg-architecture", "dpkg-dev"),
    need("dpkg-deb", "dpkg"),
    need("dpkg-shlibdeps", "dpkg-dev"),
    need("readelf", "binutils"),
    need("strip", "binutils"),
];

/// What the tests compare our numbers with, and make containers with.
const TEST: [Need; 13] = [
    need("bwrap", "bubblewrap"),
    need("c++", "g++"),
    need("cc", "gcc"),
    need("htop", "htop"),
    need("ip", "iproute2"),
    need("iptables-legacy", "iptables"),
    need("ldd", "libc-bin"),
    need("lslocks", "util-linux"),
    need("lsof", "lsof"),
    need("nft", "nftables"),
    need("ps", "procps"),
    need("python3", "python3"),
    need("strace", "strace"),
];

impl Need {
    fn is_met(&self) -> bool {
        if self.thing.starts_with('/') {
            Path::new(self.thing).exists()
        } else {
            is_installed(self.thing)
        }
    }
}

/// Makes sure that `ubc run` can work.
pub(crate) fn for_run() -> Result<()> {
    root_or_say_so()?;
    install(&BUILD)?;
    install(&RUN)
}

/// Makes sure that every test can run.
pub(crate) fn for_test() -> Result<()> {
    root_or_say_so()?;
    install(&BUILD)?;
    install(&RUN)?;
    install(&TEST)?;
    install(&DIST)
}

/// Makes sure that the packages can be made, which needs no root where nothing
/// is missing.
pub(crate) fn for_dist() -> Result<()> {
    install(&BUILD)?;
    install(&DIST)
}

/// An error that says what to do, unless we are root.
pub(crate) fn root_or_say_so() -> Result<()> {
    let uid = Command::new("id").arg("-u").output().map_err(|error| format!("id: {error}"))?;
    if uid.stdout.trim_ascii() == b"0" {
        return Ok(());
    }
    Err("needs root: it makes containers, cgroups and mounts (try sudo)".to_owned())
}

fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> =
        needs.iter().filter(|need| !need.is_met()).map(|need| need.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if !is_installed("apt-get") {
        return Err(format!("needs these Debian packages or the like: {packages}"));
    }
    println!("installing {packages}");
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).args(args);
        command.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        command
    };
    check(&mut apt(&["update"]))?;
    let mut command = apt(&["install", "--yes", "--no-install-recommends"]);
    check(command.args(&missing))
}

/// Whether a program of this name can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/bin"].map(Into::into);
    std::env::split_paths(&path).chain(sbin).any(|dir| Path::new(&dir).join(program).is_file())
}
