//! OpenVZ's configuration files.

use ubc_config::{Config, Document, Key};
use ubc_core::{PageSize, Resource};

use super::assert_one_line;

/// A file is written byte for byte as it was read; what it means is read again
/// from a file written from that; a change of one parameter changes no other.
///
/// # Panics
///
/// If that does not hold.
pub fn vz_config(data: &[u8]) {
    let mut document = match Document::parse(data) {
        Ok(document) => document,
        Err(error) => {
            assert_one_line(&error.to_string());
            assert!(error.line >= 1 && error.line <= super::lines(data).count(), "{error}");
            return;
        }
    };
    assert_eq!(document.to_bytes(), data);
    let page = PageSize::DEFAULT;
    let read = match Config::read(&document, page) {
        Ok(read) => read,
        Err(error) => return assert_one_line(&error.to_string()),
    };
    for notice in &read.notices {
        assert_one_line(&notice.to_string());
    }
    assert_eq!(
        Config::read_unordered(&document, page).map(|again| again.config).as_ref(),
        Ok(&read.config)
    );
    let understood = |document: &Document| {
        let document = Document::parse(&document.to_bytes());
        document.and_then(|document| Config::read(&document, page)).map(|read| read.config)
    };
    let mut new = Document::default();
    new.update(&read.config, page);
    assert_eq!(understood(&new).as_ref(), Ok(&read.config));
    // Nothing to change: nothing changes.
    document.update(&read.config, page);
    assert_eq!(document.to_bytes(), data);
    let row = Resource::NumFile;
    let mut change = Config::default();
    change.limits[row] = ubc_core::Limits::both(4711).ok();
    document.update(&change, page);
    assert_eq!(understood(&document), Ok(change.or(read.config.clone())));
    document.forget(Key::Row(row));
    let mut without = read.config;
    without.limits[row] = None;
    assert_eq!(understood(&document), Ok(without));
}
