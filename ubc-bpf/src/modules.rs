//! Kernel modules whose functions programs attach to.

use std::process::{Command, Stdio};

/// Asks for a module. Whether it came shows when programs attach.
pub(crate) fn load(name: &str) {
    let quiet = || Stdio::null();
    let outcome =
        Command::new("modprobe").arg(name).stdin(quiet()).stdout(quiet()).stderr(quiet()).status();
    match outcome {
        Ok(status) if status.success() => {}
        Ok(status) => log::debug!("modprobe {name}: {status}"),
        Err(error) => log::debug!("modprobe: {error}"),
    }
}
