//! Values of administrators.

use ubc_core::{Limits, PageSize, UNLIMITED, Unit};
use ubc_procfs::text::meminfo::MemorySize;
use ubc_procfs::text::value::{
    Bare, MOST_BYTES_PER_SECOND, Shown, parse_limits, parse_memory, parse_rate,
};

use super::assert_one_line;

/// Limits are settable and read back from what is shown; the size of `--ram`
/// is the number of pages a limit would have, rounded the other way. A rate is
/// never more than vzctl takes. A size of memory is read back from what is
/// shown.
///
/// # Panics
///
/// If that does not hold.
pub fn value(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match MemorySize::parse(text) {
        Ok(size) => {
            let shown = size.map_or_else(|| "none".to_owned(), |size| size.to_string());
            assert_eq!(MemorySize::parse(&shown), Ok(size));
        }
        Err(error) => assert_one_line(&error.to_string()),
    }
    for page in [1, 4096, PageSize::MAX] {
        let page = PageSize::new(page).unwrap_or_default();
        for unit in [Unit::Bytes, Unit::Pages, Unit::Count] {
            match parse_limits(text, unit, page) {
                Ok(setting) => {
                    let Limits { barrier, limit } = setting.limits;
                    assert_eq!(Limits::ordered(barrier, limit), Ok(setting.limits));
                    assert!(!setting.clamped || limit == UNLIMITED);
                    let again = parse_limits(&Shown(setting.limits).to_string(), unit, page);
                    assert_eq!(
                        again.map(|again| (again.limits, again.clamped)),
                        Ok((setting.limits, false))
                    );
                }
                Err(error) => assert_one_line(&error.to_string()),
            }
        }
        for bare in [Bare::Megabytes, Bare::Bytes] {
            match parse_rate(text, bare, page) {
                Ok(rate) => assert!(rate <= MOST_BYTES_PER_SECOND),
                Err(error) => assert_one_line(&error.to_string()),
            }
        }
        match parse_memory(text, page) {
            Ok(memory) => {
                assert!(memory.pages <= UNLIMITED);
                assert!(!memory.clamped || memory.pages == UNLIMITED);
                // The same bytes as a limit in pages: rounded down, not up.
                if text.ends_with(|last: char| last.is_ascii_alphabetic())
                    && let Ok(setting) = parse_limits(text, Unit::Pages, page)
                {
                    let below = setting.limits.limit;
                    assert!(memory.pages == below || memory.pages == below + 1, "{text:?}");
                }
            }
            Err(error) => assert_one_line(&error.to_string()),
        }
    }
}
