//! What several unit tests need.

use std::io::Write;

/// Says why a test did not run. Past the harness, which hides what passing
/// tests print.
pub(crate) fn skip(reason: &dyn std::fmt::Display) {
    std::io::stderr().write_all(format!("SKIP: {reason}\n").as_bytes()).unwrap();
}
