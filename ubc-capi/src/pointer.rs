//! What C hands over, checked as far as it can be.
//!
//! The safety of each function is the same: a pointer that is not NULL points to
//! what `ubc.h` says, for as long as the call takes.

use std::ffi::{CStr, c_char};

use crate::result::Fault;

fn null(what: &str) -> Fault {
    Fault::invalid(format!("{what} is NULL"))
}

pub(crate) fn check<T>(pointer: *const T, what: &str) -> Result<(), Fault> {
    if pointer.is_null() {
        return Err(null(what));
    }
    if !pointer.is_aligned() {
        return Err(Fault::invalid(format!("{what} is not aligned: no pointer to that")));
    }
    Ok(())
}

/// A handle, or anything else that is read.
pub(crate) unsafe fn read<'a, T>(pointer: *const T, what: &str) -> Result<&'a T, Fault> {
    check(pointer, what)?;
    // SAFETY: it is neither NULL nor unaligned, and C says that it points to a T
    // that nobody writes to or frees during the call.
    Ok(unsafe { &*pointer })
}

/// Where an answer goes. What is there before is not looked at.
pub(crate) unsafe fn write<T>(pointer: *mut T, value: T, what: &str) -> Result<(), Fault> {
    check(pointer, what)?;
    // SAFETY: it is neither NULL nor unaligned, and C says that there is room for
    // a T that nobody else looks at during the call.
    unsafe { pointer.write(value) };
    Ok(())
}

/// Hands a handle to C; nothing is leaked if there is nowhere to put it.
pub(crate) unsafe fn give<T>(pointer: *mut *mut T, value: T, what: &str) -> Result<(), Fault> {
    check(pointer, what)?;
    // SAFETY: as for `write`.
    unsafe { pointer.write(Box::into_raw(Box::new(value))) };
    Ok(())
}

/// Takes a handle back.
pub(crate) unsafe fn take<T>(pointer: *mut T, what: &str) -> Result<Box<T>, Fault> {
    check(pointer, what)?;
    // SAFETY: `give` made it, and C gives it back once.
    Ok(unsafe { Box::from_raw(pointer) })
}

/// An array of this length. NULL is an empty one's only.
pub(crate) unsafe fn array<'a, T>(
    pointer: *const T,
    length: usize,
    what: &str,
) -> Result<&'a [T], Fault> {
    if length == 0 {
        return Ok(&[]);
    }
    check(pointer, what)?;
    let most = isize::MAX.unsigned_abs() / size_of::<T>().max(1);
    if length > most {
        return Err(Fault::invalid(format!("{what} has no {length} elements")));
    }
    // SAFETY: it is neither NULL nor unaligned, no longer than memory, and C says
    // that it points to that many, which nobody writes to during the call.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// A string that may be NULL.
pub(crate) unsafe fn text<'a>(
    pointer: *const c_char,
    what: &str,
) -> Result<Option<&'a str>, Fault> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: it is not NULL, and C says that it ends with a NUL and that nobody
    // writes to it during the call.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Fault::invalid(format!("{what} is not UTF-8")))
}

/// A string that must be there.
pub(crate) unsafe fn needed<'a>(pointer: *const c_char, what: &str) -> Result<&'a str, Fault> {
    // SAFETY: as the caller's.
    unsafe { text(pointer, what) }?.ok_or_else(|| null(what))
}

/// Writes a string into a buffer of this size with a NUL behind it, if it fits.
pub(crate) unsafe fn copy(text: &[u8], to: *mut c_char, size: usize) -> Result<(), Fault> {
    check(to, "buffer")?;
    if size <= text.len() {
        let needed = text.len() + 1;
        return Err(Fault::invalid(format!("the buffer has {size} bytes, {needed} are needed")));
    }
    // SAFETY: it is not NULL, C says that it has `size` bytes, which is more than
    // are written, and nobody else looks at them during the call.
    unsafe {
        to.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), text.len());
        to.add(text.len()).write(0);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
