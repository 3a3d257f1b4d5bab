//! Fuzz targets: functions from any bytes that must not panic.
//!
//! Each target feeds its bytes to a reader of untrusted text and asserts more
//! than survival: what is read can be written and read again, two readers
//! agree, bounds are kept, errors are one line.
//!
//! Two things run them: `smoke` (this package's binary, stable Rust, no
//! coverage, seconds) and cargo-fuzz (libFuzzer, coverage, as long as you
//! like). Both start from the inputs in `corpus/<target>/`, named after what they are, and
//! `found/<target>/`, chosen by coverage.
//!
//! To add a target: its function in [`targets`], a line in [`TARGETS`], a few
//! inputs in `corpus/<name>/`, and a run of `cargo xtask fuzz --keep`. That is all `smoke` needs. For cargo-fuzz also a
//! `[[bin]]` and its two lines in `fuzz_targets/`; a test says what is missing.

pub mod mutate;
pub mod targets;

/// A named function from any bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// The name: that of its corpus and of its cargo-fuzz binary.
    pub name: &'static str,
    /// Panics where an assertion does not hold.
    pub run: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "cgroup_files", run: targets::cgroup_files },
    Target { name: "cgroup_name", run: targets::cgroup_name },
    Target { name: "container_id", run: targets::container_id },
    Target { name: "history", run: targets::history },
    Target { name: "hook_state", run: targets::hook_state },
    Target { name: "idmap", run: targets::idmap },
    Target { name: "mountinfo", run: targets::mountinfo },
    Target { name: "proc_files", run: targets::proc_files },
    Target { name: "proc_locks", run: targets::proc_locks },
    Target { name: "protocol_request", run: targets::protocol_request },
    Target { name: "protocol_response", run: targets::protocol_response },
    Target { name: "reading_json", run: targets::reading_json },
    Target { name: "resource_name", run: targets::resource_name },
    Target { name: "snapshot_json", run: targets::snapshot_json },
    Target { name: "sock_diag", run: targets::sock_diag },
    Target { name: "table_strict", run: targets::table_strict },
    Target { name: "table_tolerant", run: targets::table_tolerant },
    Target { name: "ub_id", run: targets::ub_id },
    Target { name: "value", run: targets::value },
    Target { name: "vz_config", run: targets::vz_config },
];

/// The target of this name.
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}

/// The entry point of cargo-fuzz for the target of this name.
#[cfg(feature = "libfuzzer")]
#[macro_export]
macro_rules! libfuzzer {
    ($name:literal) => {
        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            match $crate::find($name) {
                Some(target) => (target.run)(data),
                None => panic!(concat!("no target named ", $name)),
            }
        });
    };
}

#[cfg(feature = "libfuzzer")]
#[doc(hidden)]
pub use libfuzzer_sys;

#[cfg(test)]
mod tests;
