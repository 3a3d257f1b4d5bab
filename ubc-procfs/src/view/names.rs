//! Names of native procfs entries, numbered as they are first seen.

use std::ffi::{CStr, CString};

use parking_lot::RwLock;

use super::node::MAX_NAMES;

/// A numbered set of names.
///
/// It holds only names that exist in the kernel's procfs, of which there are
/// about a hundred, so a reader that asks for invented ones cannot fill it.
#[derive(Debug, Default)]
pub(super) struct Names(RwLock<Vec<CString>>);

impl Names {
    /// The number of a name that exists, new or known. `None` when the table
    /// is full: the name is then not shown.
    pub(super) fn number(&self, name: &CStr) -> Option<u16> {
        let known = |names: &[CString]| names.iter().position(|n| n.as_c_str() == name);
        if let Some(index) = known(&self.0.read()) {
            return u16::try_from(index).ok();
        }
        let mut names = self.0.write();
        let index = known(&names).or_else(|| {
            (names.len() < MAX_NAMES).then(|| {
                names.push(name.to_owned());
                names.len() - 1
            })
        })?;
        u16::try_from(index).ok()
    }

    /// The name with this number.
    pub(super) fn get(&self, number: u16) -> Option<CString> {
        self.0.read().get(usize::from(number)).cloned()
    }
}
