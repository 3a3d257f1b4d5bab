//! `include/ubc.h` says what the library does.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::Path;

/// Set, the header is written instead of compared.
const BLESS: &str = "UBC_BLESS";

#[test]
fn the_header_is_the_one_the_sources_make() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    // It follows the modules from there.
    let builder = cbindgen::Builder::new().with_config(config).with_src(here.join("src/lib.rs"));
    let mut made = Vec::new();
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    let path = here.join("include/ubc.h");
    if std::env::var_os(BLESS).is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == made, "{} is not current: {BLESS}=1 writes it", path.display());
}
