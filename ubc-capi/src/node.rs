//! The machine.

use std::ffi::c_char;
use std::sync::Arc;

use ::ubc_node::{Node, Options};

use crate::pointer;
use crate::result::{Fault, guarded, ubc_result};

/// A machine and its containers, as far as they were made or taken over here.
pub struct ubc_node(pub(crate) Arc<Node>);

/// Does without programs in the kernel: limits are those of cgroup controllers, and
/// nothing is told of refusals.
pub const UBC_WITHOUT_PROGRAMS: u32 = 1;

/// Believes what the kernel's files say of controllers, rather than have a refusal of each
/// provoked: for a process that lives as long as one call of a runtime.
pub const UBC_WITHOUT_TESTS: u32 = 2;

/// Opens the node: looks at the machine, puts the kernel's programs on duty or takes
/// them over, and tests what it claims. Needs root. Takes up to some seconds, and longer
/// when the programs are new to the kernel.
///
/// cgroup: below which cgroup those of new containers are made, by its path below the
/// cgroup2 mount; NULL: "ubc". programs_root: the directory on a bpf file system where
/// programs stay; NULL: where those of the ubc daemon are too. state: the directory
/// where ids that were chosen for names are kept, by one node at a time; NULL: nowhere.
/// flags: 0, or of UBC_WITHOUT_PROGRAMS | UBC_WITHOUT_TESTS.
///
/// To be given back with ubc_node_close().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_node_open(
    cgroup: *const c_char,
    programs_root: *const c_char,
    state: *const c_char,
    flags: u32,
    node: *mut *mut ubc_node,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            // First, so that nothing is made for nothing.
            pointer::write(node, std::ptr::null_mut(), "node")?;
            let mut options = Options::default();
            if let Some(cgroup) = pointer::text(cgroup, "cgroup")? {
                options = options.cgroup(cgroup);
            }
            if let Some(root) = pointer::text(programs_root, "programs_root")? {
                options = options.programs_root(root);
            }
            if let Some(state) = pointer::text(state, "state")? {
                options = options.state(state);
            }
            if flags & !(UBC_WITHOUT_PROGRAMS | UBC_WITHOUT_TESTS) != 0 {
                return Err(Fault::invalid(format!("flags {flags:#x} are not known")));
            }
            if flags & UBC_WITHOUT_PROGRAMS != 0 {
                options = options.without_programs();
            }
            if flags & UBC_WITHOUT_TESTS != 0 {
                options = options.without_tests();
            }
            pointer::give(node, ubc_node(Node::open(options)?), "node")?;
        }
        Ok(ubc_result::UBC_OK)
    })
}

/// Closes the node, when its last container has been given back too: those keep it open.
/// Waits for its threads to end.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_node_close(node: *mut ubc_node) {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        drop(unsafe { pointer::take(node, "node") }?);
        Ok(ubc_result::UBC_OK)
    });
}
