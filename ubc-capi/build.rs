//! Names the shared library as its users' binaries ask for it.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Changes with every change that breaks a program built before
    // (docs/embedding.md).
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,libubc.so.0");
}
