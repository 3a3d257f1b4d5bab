//! Names of native procfs entries, numbered as they are first seen.

use std::ffi::{CStr, CString};
use std::io;

use parking_lot::RwLock;

use super::ledger::{Ledger, Table};
use super::node::MAX_NAMES;
use super::not_found;

/// A numbered set of names.
///
/// It holds only names that exist in the kernel's procfs, of which there are
/// about a hundred, so a reader that asks for invented ones cannot fill it.
#[derive(Debug, Default)]
pub(super) struct Names {
    names: RwLock<Vec<CString>>,
    /// Where they are written down for a successor.
    kept: Option<(Ledger, Table)>,
}

impl Names {
    /// Those that were numbered before, and where the next are written down.
    pub(super) fn kept(ledger: &Ledger, table: Table) -> io::Result<Names> {
        let names = RwLock::new(ledger.names(table)?);
        Ok(Names { names, kept: Some((ledger.clone(), table)) })
    }

    /// The number of a name that exists, new or known.
    ///
    /// # Errors
    ///
    /// ENOENT when the table is full: the name is not shown. What writing it down for a
    /// successor fails with.
    pub(super) fn number(&self, name: &CStr) -> io::Result<u16> {
        let known = |names: &[CString]| names.iter().position(|n| n.as_c_str() == name);
        let number = |index| u16::try_from(index).map_err(|_| not_found());
        if let Some(index) = known(&self.names.read()) {
            return number(index);
        }
        let mut names = self.names.write();
        let index = match known(&names) {
            Some(index) => index,
            None if names.len() < MAX_NAMES => {
                // Before anybody gets to know the number.
                if let Some((ledger, table)) = &self.kept {
                    ledger.add_name(*table, name)?;
                }
                names.push(name.to_owned());
                names.len() - 1
            }
            None => return Err(not_found()),
        };
        number(index)
    }

    /// The name with this number.
    pub(super) fn get(&self, number: u16) -> Option<CString> {
        self.names.read().get(usize::from(number)).cloned()
    }
}
