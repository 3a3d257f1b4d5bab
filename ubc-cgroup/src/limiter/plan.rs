//! Which value goes to which file.

use ubc_core::{Limits, PerResource, Resource, UNLIMITED};

use crate::settings::{Form, Setting};
use crate::{Enforced, Target};

/// One value for one controller file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Write {
    /// Whose limit it is.
    pub(crate) resource: Resource,
    /// The file.
    pub(crate) file: &'static str,
    /// As the kernel prints it: a number, or `max`.
    pub(crate) value: String,
    /// Whether this file is what enforces the row.
    pub(crate) main: bool,
}

impl Write {
    pub(super) fn new(resource: Resource, file: &'static str, value: String, main: bool) -> Write {
        Write { resource, file, value, main }
    }

    pub(crate) fn setting(&self) -> Setting {
        Setting {
            target: Target::Row(self.resource),
            file: self.file,
            form: Form::Number,
            value: self.value.clone(),
        }
    }

    pub(crate) fn enforced(&self, proven: bool) -> Enforced {
        match self.resource {
            Resource::OomGuarPages => Enforced::Guarantee(self.file),
            _ => Enforced::By { file: self.file, proven },
        }
    }
}

/// The writes for some limits, in the order to make them: `memory.high`
/// before `memory.max`, so that reclaim begins before anything is killed.
pub(super) fn writes(limits: &PerResource<Option<Limits>>, page: u64) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut add =
        |resource, file, value, main| writes.push(Write::new(resource, file, value, main));
    if let Some(limits) = limits[Resource::PhysPages] {
        let high = match limits.barrier {
            0 => UNLIMITED,
            barrier if barrier >= limits.limit => UNLIMITED,
            barrier => barrier,
        };
        add(Resource::PhysPages, "memory.high", bytes(high, page), false);
        add(Resource::PhysPages, "memory.max", bytes(limits.limit, page), true);
    }
    if let Some(limits) = limits[Resource::SwapPages] {
        add(Resource::SwapPages, "memory.swap.max", bytes(limits.limit, page), true);
    }
    if let Some(limits) = limits[Resource::OomGuarPages] {
        let low = match bytes(limits.barrier, page) {
            value if value == "max" => "0".to_owned(),
            value => value,
        };
        add(Resource::OomGuarPages, "memory.low", low, true);
    }
    if let Some(limits) = limits[Resource::NumProc] {
        // pids.max takes up to PID_MAX_LIMIT; more tasks than that cannot be.
        let most = limits.hard();
        let value = if most >= PID_MAX_LIMIT { "max".to_owned() } else { most.to_string() };
        add(Resource::NumProc, "pids.max", value, true);
    }
    writes
}

/// The kernel's bound on pids of 64-bit machines: 4 Mi.
const PID_MAX_LIMIT: u64 = 4 << 20;

/// A number of pages as a memory file takes and prints it: in bytes, and
/// `max` from where the kernel's own counter (a `long` of pages) ends.
fn bytes(pages: u64, page: u64) -> String {
    match pages.checked_mul(page) {
        Some(bytes) if bytes < UNLIMITED / page * page => bytes.to_string(),
        _ => "max".to_owned(),
    }
}
