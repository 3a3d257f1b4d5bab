//! Rules 13 and 14: configurations of RAM and swap.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::finding::Shown;
use super::{Config, Finding, Level, Rule};
use crate::Resource;

pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    for resource in [Resource::PhysPages, Resource::SwapPages] {
        let Some(pair) = config.limits[resource] else { continue };
        if pair.barrier != 0 {
            findings.push(Finding {
                rule: Rule::VswapBarrier,
                level: Level::Error,
                resources: vec![resource],
                message: format!("{resource}: barrier {} is not 0", Shown(pair.barrier)),
            });
        }
    }
    let Some(host) = config.host else { return };
    for (resource, memory, name) in
        [(Resource::PhysPages, host.ram, "RAM"), (Resource::SwapPages, host.swap, "swap")]
    {
        let Some(pair) = config.limits[resource] else { continue };
        let wanted = config.page.bytes_in(pair.limit);
        if wanted > u128::from(memory) {
            findings.push(Finding {
                rule: Rule::VswapWithinHost,
                level: Level::Warning,
                resources: vec![resource],
                message: format!(
                    "{resource}: limit {} x {} = {wanted} bytes is above the host's {name}, \
                     {memory} bytes",
                    Shown(pair.limit),
                    config.page.bytes(),
                ),
            });
        }
    }
}
