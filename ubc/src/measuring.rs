//! What the benchmarks measure of the command.

use ubc_node::Description;

use crate::command::export;

/// These containers as OpenMetrics: what an answer to one scrape carries.
///
/// # Panics
///
/// Never: a string takes every text.
pub fn metrics(containers: &[Description]) -> String {
    export::text(containers).expect("a string takes every text")
}
