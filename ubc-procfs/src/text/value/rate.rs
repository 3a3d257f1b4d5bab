//! What `--iolimit` and `IOLIMIT=` take.

use ubc_core::PageSize;

use super::amount::Written;
use super::{Form, Reason, ValueError};

/// Where a rate is written: a bare number means different things there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bare {
    /// On the command line: units of 1048576 bytes per second.
    Megabytes,
    /// In a configuration file: bytes per second.
    Bytes,
}

/// The most vzctl takes, in bytes per second: `INT_MAX`.
pub const MOST_BYTES_PER_SECOND: u64 = i32::MAX as u64;

/// Reads a rate of input and output, as bytes per second; 0 is no limit. With
/// a suffix it is bytes, rounded down, wherever it is written.
///
/// # Errors
///
/// A text of another form, or more than [`MOST_BYTES_PER_SECOND`].
///
/// # Examples
///
/// ```
/// use ubc_core::PageSize;
/// use ubc_procfs::text::value::{Bare, parse_rate};
///
/// let rate = |text| parse_rate(text, Bare::Megabytes, PageSize::DEFAULT);
/// assert_eq!(rate("10"), Ok(10 << 20));
/// assert_eq!(rate("512K"), Ok(512 << 10));
/// assert_eq!(rate("unlimited"), Ok(0));
/// assert_eq!(
///     rate("4194304").unwrap_err().to_string(),
///     "\"4194304\": above 2147483647 bytes per second; accepted: megabytes per second, a number \
///      of bytes with G, M, K or B such as 2.5M, or 0 or \"unlimited\""
/// );
/// assert_eq!(parse_rate("4194304", Bare::Bytes, PageSize::DEFAULT), Ok(4 << 20));
/// ```
pub fn parse_rate(text: &str, bare: Bare, page: PageSize) -> Result<u64, ValueError> {
    let read = Written::parse(text).and_then(|written| {
        let bytes = match (written, bare) {
            (Written::Unlimited, _) => return Ok(0),
            (Written::Bare(megabytes), Bare::Megabytes) => u128::from(megabytes) << 20,
            (written, _) => written.bytes(page).down,
        };
        let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes <= MOST_BYTES_PER_SECOND);
        bytes.ok_or(Reason::RateTooLarge)
    });
    read.map_err(|reason| ValueError::new(text, reason, Form::Rate(bare)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str, bare: Bare) -> Result<u64, Reason> {
        parse_rate(text, bare, PageSize::DEFAULT).map_err(|error| error.reason)
    }

    #[test]
    fn a_bare_number_is_megabytes_on_the_command_line_and_bytes_in_a_file() {
        assert_eq!(rate("4", Bare::Megabytes), Ok(4 << 20));
        assert_eq!(rate("4", Bare::Bytes), Ok(4));
        for bare in [Bare::Megabytes, Bare::Bytes] {
            for (text, bytes) in [
                ("4M", 4 << 20),
                ("4m", 4 << 20),
                ("1G", 1 << 30),
                ("0.5K", 512),
                ("7B", 7),
                ("0", 0),
                ("0K", 0),
                ("unlimited", 0),
            ] {
                assert_eq!(rate(text, bare), Ok(bytes), "{text}");
            }
        }
    }

    #[test]
    fn more_than_vzctl_takes_is_refused_not_cut_off() {
        assert_eq!(rate("2147483647B", Bare::Megabytes), Ok(MOST_BYTES_PER_SECOND));
        assert_eq!(rate("2047", Bare::Megabytes), Ok(2047 << 20));
        for text in ["2048", "2G", "2147483648B", "18446744073709551615", "1T"] {
            assert_eq!(rate(text, Bare::Megabytes), Err(Reason::RateTooLarge), "{text}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for (text, reason) in [
            ("", Reason::Empty),
            ("-1", Reason::NotANumber),
            ("1.5", Reason::FractionWithoutSuffix),
            ("1X", Reason::UnknownSuffix('X')),
            ("1M:2M", Reason::NotANumber),
        ] {
            assert_eq!(rate(text, Bare::Megabytes), Err(reason), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_answered_by_a_panic_or_by_two_lines(text in "\\PC*|[0-9.]{0,30}[TGMKPBx]?") {
            for bare in [Bare::Megabytes, Bare::Bytes] {
                match parse_rate(&text, bare, PageSize::DEFAULT) {
                    Ok(bytes) => prop_assert!(bytes <= MOST_BYTES_PER_SECOND),
                    Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
                }
            }
        }
    }
}
