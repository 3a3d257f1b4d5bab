//! See the target of this name in `ubc_fuzz::TARGETS`.
#![no_main]
ubc_fuzz::libfuzzer!("history");
