//! What the targets assert.

mod cgroup;
mod config;
mod diag;
mod idmap;
mod locks;
mod mounts;
mod names;
mod process;
mod protocol;
mod reading;
mod snapshot;
mod table;
mod value;

pub use cgroup::{cgroup_files, cgroup_name};
pub use config::vz_config;
pub use diag::sock_diag;
pub use idmap::idmap;
pub use locks::proc_locks;
pub use mounts::mountinfo;
pub use names::{container_id, resource_name, ub_id};
pub use process::proc_files;
pub use protocol::{history, hook_state, protocol_request, protocol_response};
pub use reading::reading_json;
pub use snapshot::snapshot_json;
pub use table::{table_strict, table_tolerant};
pub use value::value;

use ubc_cgroup::parse::Malformed;

/// Asserts that a message is fit for a log: one line of bounded length.
fn assert_one_line(message: &str) {
    assert!(!message.contains(['\n', '\r']), "several lines: {message:?}");
    assert!(message.len() < 512, "{} bytes: {message:.600}", message.len());
}

/// Asserts that an error is fit for a log and names a line of the text.
fn assert_malformed(error: &Malformed, text: &[u8]) {
    assert_one_line(&error.to_string());
    assert!((1..=lines(text).count()).contains(&error.line), "{error}");
}

/// The lines of a text, at least one.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n')
}
