//! The C ABI of ubc: `ubc.h` in words of Rust, and no logic.
//!
//! Every function checks what it is given, runs inside [`result::guarded`], so
//! that no panic crosses the border, and answers with a code and a message for
//! the calling thread. What the functions do is the business of `ubc-node` and
//! `ubc-core`; what they promise to C is in `include/ubc.h`, which is made from
//! the comments here.
//!
//! This is the only crate outside the kernel's borders that needs `unsafe`:
//! whether a pointer is what the header asks for cannot be checked, beyond NULL
//! and alignment, which are. All that is done with pointers is in [`pointer`].
#![allow(unsafe_code, reason = "a C ABI is made of pointers")]
#![allow(non_camel_case_types, reason = "these are the names in ubc.h")]
#![allow(unreachable_pub, reason = "what C reaches, Rust does not")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the same for all functions: ubc.h, HANDLES and STRINGS, at its beginning"
)]

mod beancounter;
mod container;
mod node;
mod pointer;
mod reading;
mod refusals;
mod resource;
mod result;

use std::ffi::c_char;

/// The version of the library, such as `0.1.0`; valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ubc_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
