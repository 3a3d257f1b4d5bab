//! See the library of this package.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    ubc::main()
}
