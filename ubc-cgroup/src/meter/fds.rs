//! numfile and numpty, from the descriptors of the processes.

use ubc_core::Resource;

use super::{Findings, Meter, Pass};
use crate::walk::Distinct;
use crate::{Bound, Result};

/// Open files are open file descriptions: `dup` and `fork` make no new one.
#[derive(Debug)]
pub(crate) struct Fds;

impl Meter for Fds {
    fn name(&self) -> &'static str {
        "descriptors"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        let descriptors = &pass.walk().descriptors;
        let mut distinct = Distinct::new(pass.bounds().comparisons);
        let ptys = descriptors.ptys(&mut distinct);
        let files = descriptors.files(&mut distinct);
        // What we cannot see is little: files in flight through SCM_RIGHTS,
        // and files that only a mapping holds.
        if files.exact {
            findings.fallback(Resource::NumFile, files.number, "fds", Bound::Near);
        } else {
            let source = "fds, shared ones counted twice";
            findings.fallback(Resource::NumFile, files.number, source, Bound::Upper);
        }
        let bound = if ptys.exact { Bound::Exact } else { Bound::Upper };
        findings.fallback(Resource::NumPty, ptys.number, "fds of /dev/ptmx", bound);
        Ok(())
    }
}
