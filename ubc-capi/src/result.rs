//! Codes and messages.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ubc_node::{Error, ErrorKind};

/// What became of a call.
#[repr(i32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ubc_result {
    /// Done.
    UBC_OK = 0,
    /// Done, and there is nothing now.
    UBC_NOTHING = 1,
    /// Done, but something that was asked for is not imposed by anything here; the
    /// message says what and why.
    UBC_NOT_IMPOSED = 2,
    /// A value, a name or a pointer is wrong, or the thing asked for makes no sense.
    UBC_INVALID = -1,
    /// There is no such container or process, or it has ended.
    UBC_NOT_FOUND = -2,
    /// The id, the cgroup or the container's /proc is taken.
    UBC_IN_USE = -3,
    /// This machine lacks something: cgroup v2, FUSE, programs that refuse.
    UBC_UNAVAILABLE = -4,
    /// The caller is not root.
    UBC_NO_PERMISSION = -5,
    /// A limit cannot be imposed here.
    UBC_LIMIT = -6,
    /// The system refused something.
    UBC_SYSTEM = -7,
    /// A fault of the library's own.
    UBC_INTERNAL = -8,
    /// A charge was refused, as it would have passed a threshold.
    UBC_REFUSED = -9,
}

use ubc_result::{
    UBC_IN_USE, UBC_INTERNAL, UBC_INVALID, UBC_LIMIT, UBC_NO_PERMISSION, UBC_NOT_FOUND,
    UBC_NOT_IMPOSED, UBC_OK, UBC_SYSTEM, UBC_UNAVAILABLE,
};

/// A failure on its way to C.
#[derive(Debug)]
pub(crate) struct Fault {
    code: ubc_result,
    message: String,
}

impl Fault {
    pub(crate) fn new(code: ubc_result, message: impl fmt::Display) -> Fault {
        Fault { code, message: message.to_string() }
    }

    pub(crate) fn invalid(message: impl fmt::Display) -> Fault {
        Fault::new(UBC_INVALID, message)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        let code = match error.kind() {
            ErrorKind::Invalid => UBC_INVALID,
            ErrorKind::NotFound => UBC_NOT_FOUND,
            ErrorKind::InUse => UBC_IN_USE,
            ErrorKind::Unavailable => UBC_UNAVAILABLE,
            ErrorKind::NoPermission => UBC_NO_PERMISSION,
            ErrorKind::Limit => UBC_LIMIT,
            ErrorKind::System => UBC_SYSTEM,
            _ => UBC_INTERNAL,
        };
        Fault::new(code, error)
    }
}

/// What an operation came to, if it did not fail.
pub(crate) type Outcome = Result<ubc_result, Fault>;

/// Done, but what is in the list is not imposed.
pub(crate) fn kept(unenforced: &[ubc_node::Unenforced]) -> ubc_result {
    if unenforced.is_empty() {
        return UBC_OK;
    }
    let said: Vec<String> = unenforced.iter().map(ToString::to_string).collect();
    say(&said.join("; "));
    UBC_NOT_IMPOSED
}

thread_local! {
    static MESSAGE: RefCell<CString> = RefCell::default();
}

fn say(message: &str) {
    // C's strings end at the first NUL.
    let until = message.split('\0').next().unwrap_or_default();
    let message = CString::new(until).unwrap_or_default();
    // Gone only while the thread ends: then nobody asks any more.
    let _ = MESSAGE.try_with(|last| *last.borrow_mut() = message);
}

/// Runs what a function does; what it came to is the function's answer.
pub(crate) fn guarded(act: impl FnOnce() -> Outcome) -> ubc_result {
    say("");
    // Nothing of ours is half done after a panic that a later call relies on:
    // locks do not poison, and what was being made is dropped.
    match catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(code)) => code,
        Ok(Err(fault)) => {
            say(&fault.message);
            fault.code
        }
        Err(panic) => {
            say(&format!("a fault of libubc: {}", words(&*panic)));
            // A panic's payload may panic when it is dropped.
            std::mem::forget(panic);
            UBC_INTERNAL
        }
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

/// What the last call of this thread had to say, in one line; empty if nothing. Valid
/// until the next call of this thread.
#[unsafe(no_mangle)]
pub extern "C" fn ubc_message() -> *const c_char {
    let message = MESSAGE.try_with(|last| last.borrow().as_ptr());
    message.unwrap_or_else(|_| CStr::as_ptr(c""))
}

#[cfg(test)]
mod tests;
