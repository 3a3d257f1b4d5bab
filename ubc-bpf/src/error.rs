//! What can go wrong between user space and the kernel's programs.

use std::io;
use std::path::PathBuf;

/// An error of this crate: one line that names the object it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The kernel tells nothing about its types, so no program can be fitted to it.
    #[error("/sys/kernel/btf/vmlinux: {0} (a kernel with CONFIG_DEBUG_INFO_BTF is needed)")]
    NoTypes(String),
    /// There is no place for programs to stay.
    #[error("{path}: not a bpf file system and cannot become one: {source}")]
    NoPlace {
        /// The directory.
        path: PathBuf,
        /// Why it could not be mounted.
        source: io::Error,
    },
    /// A file or directory of the place.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the kernel answers.
        source: io::Error,
    },
    /// The kernel does not take a mechanism's programs.
    #[error("{mechanism}: {reason}")]
    Refused {
        /// The mechanism, named after its source file.
        mechanism: &'static str,
        /// The line in which the loader or the kernel's verifier says why.
        reason: String,
    },
    /// A shared map cannot be made, read or written.
    #[error("map {map}: {source}")]
    Map {
        /// Its name.
        map: &'static str,
        /// What the kernel answers.
        source: libbpf_rs::Error,
    },
    /// What is pinned is not of this version's form.
    #[error("{path}: made by another version (form {found}, this one knows {known})")]
    OtherForm {
        /// The directory.
        path: PathBuf,
        /// Its number.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Somebody relies on the programs.
    #[error("{path}: the programs are in use by another process")]
    InUse {
        /// Where they stay.
        path: PathBuf,
    },
    /// Every slot is taken.
    #[error("no room for another container: the kernel's table has {0} places")]
    Full(u32),
    /// The containers a container is in.
    #[error("container {0} is nested too deep: {1} levels are counted")]
    TooDeep(u64, u32),
}

impl Error {
    /// Whether a map failed for want of something that may come back, as memory. What files
    /// answer is in the error's source.
    pub fn may_pass(&self) -> bool {
        use libbpf_rs::ErrorKind::{Interrupted, Other, OutOfMemory};
        // No number is told: what has no kind of its own may be one of these (EIO, EMFILE).
        matches!(self, Error::Map { source, .. }
            if matches!(source.kind(), Interrupted | Other | OutOfMemory))
    }
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
