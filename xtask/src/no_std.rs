//! Proof that the engine needs no std.
//!
//! Building for the host with `--no-default-features` proves little: std is
//! there to be linked. So a small static library with its own panic handler is
//! built around the engine; if anything in it brought std along, there would be
//! two panic handlers and rustc would refuse.

use std::fs;

use crate::run::{Result, cargo, check, root};

const MANIFEST: &str = r#"
[package]
name = "no-std-proof"
version = "0.0.0"
edition = "2024"
publish = false

[lib]
crate-type = ["staticlib"]

[dependencies]
ubc-core = { path = "CORE", default-features = false }

[profile.dev]
panic = "abort"

[workspace]
"#;

const SOURCE: &str = r#"
#![no_std]

use core::alloc::{GlobalAlloc, Layout};

struct Nothing;

// SAFETY: it never hands out memory.
unsafe impl GlobalAlloc for Nothing {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: Nothing = Nothing;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(no_mangle)]
pub extern "C" fn containers() -> usize {
    ubc_core::Registry::new().list().len()
}
"#;

/// Builds the proof.
pub(crate) fn prove() -> Result<()> {
    let dir = root().join("target/no-std-proof");
    let io = |error: std::io::Error| format!("{}: {error}", dir.display());
    fs::create_dir_all(dir.join("src")).map_err(io)?;
    let core = root().join("ubc-core");
    fs::write(dir.join("Cargo.toml"), MANIFEST.replace("CORE", &core.display().to_string()))
        .map_err(io)?;
    fs::write(dir.join("src/lib.rs"), SOURCE).map_err(io)?;
    // The versions the workspace has been tested with.
    fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock")).map_err(io)?;
    check(cargo().current_dir(&dir).args(["build", "--quiet"]))
}
