//! Values as administrators write them: `barrier[:limit]` of `vzctl set` and
//! of configuration files, the sizes of `--ram` and `--swap`, and the rate of
//! `--iolimit`.
//!
//! (vzctl `src/lib/config.c`, `man/vzctl.8`.) Arithmetic is exact: a fraction
//! is a decimal fraction, not a float.
//!
//! | unit | bare number | with a suffix |
//! |---|---|---|
//! | bytes | bytes | bytes |
//! | pages | pages | bytes, rounded down to pages |
//! | count | pieces | refused |
//! | `--ram`, `--swap` | bytes, rounded up to pages | the same |
//! | `--iolimit` | megabytes per second | bytes per second |
//!
//! Suffixes, in either case: `T` `G` `M` `K` (1024-based), `P` (pages), `B`
//! (bytes). A fraction such as `2.2G` needs one. The word `unlimited` is
//! accepted for every unit.

use std::fmt;

use ubc_core::{Limits, LimitsError, PageSize, UNLIMITED, Unit};

mod amount;
mod error;
mod rate;

pub use error::{Form, Reason, ValueError};
pub use rate::{Bare, MOST_BYTES_PER_SECOND, parse_rate};

use amount::{Amount, Written};

/// A pair of thresholds as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// The thresholds, in the resource's unit, barrier <= limit.
    pub limits: Limits,
    /// A number was above [`UNLIMITED`] and became it. vzctl warns then.
    pub clamped: bool,
}

/// A size in pages as somebody wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Memory {
    /// The size, in pages, 0 to [`UNLIMITED`].
    pub pages: u64,
    /// The number was above [`UNLIMITED`] and became it. vzctl warns then.
    pub clamped: bool,
}

/// Reads `barrier[:limit]` for a resource counted in `unit`. One value sets
/// both.
///
/// # Errors
///
/// A text of another form, an amount above 2^64-1, or a barrier above the
/// limit.
///
/// # Examples
///
/// ```
/// use ubc_core::{Limits, PageSize, Resource, UNLIMITED};
/// use ubc_procfs::text::value::parse_limits;
///
/// let parse = |resource: Resource, text| {
///     parse_limits(text, resource.unit(), PageSize::DEFAULT).map(|setting| setting.limits)
/// };
/// assert_eq!(parse(Resource::PrivvmPages, "5M:6M"), Ok(Limits::new(1280, 1536)?));
/// assert_eq!(parse(Resource::VmGuarPages, "33792:unlimited"), Ok(Limits::new(33792, UNLIMITED)?));
/// assert_eq!(
///     parse(Resource::NumFile, "5k").unwrap_err().to_string(),
///     "\"5k\": a count has no suffix 'k'; accepted: a whole number or \"unlimited\", once or as \
///      barrier:limit"
/// );
/// # Ok::<(), ubc_core::LimitsError>(())
/// ```
pub fn parse_limits(text: &str, unit: Unit, page: PageSize) -> Result<Setting, ValueError> {
    let form = Form::Limits(unit);
    let amount = |written: &str| -> Result<Amount, ValueError> {
        let read = Written::parse(written).and_then(|written| match (unit, written) {
            (_, Written::Unlimited) => Ok(Amount::UNLIMITED),
            (_, Written::Bare(number)) => Ok(Amount::capped(number)),
            (Unit::Count, Written::Scaled { suffix, .. }) => Err(Reason::SuffixOnCount(suffix)),
            (Unit::Bytes, scaled) => Amount::new(scaled.bytes(page).down),
            (Unit::Pages, scaled) => Amount::new(page.whole_pages(scaled.bytes(page).down)),
        });
        read.map_err(|reason| ValueError::new(text, reason, form))
    };
    let (barrier, limit) = match text.split_once(':') {
        Some((barrier, limit)) => (amount(barrier)?, amount(limit)?),
        None => [amount(text)?; 2].into(),
    };
    let limits = Limits::ordered(barrier.value, limit.value)
        .map_err(|error: LimitsError| ValueError::new(text, Reason::Limits(error), form))?;
    Ok(Setting { limits, clamped: barrier.clamped || limit.clamped })
}

/// Reads the size given to `--ram` or `--swap`: bytes, rounded up to pages.
///
/// # Errors
///
/// A text of another form, or a size above 2^64-1 pages.
///
/// # Examples
///
/// ```
/// use ubc_core::PageSize;
/// use ubc_procfs::text::value::parse_memory;
///
/// let pages = |text| parse_memory(text, PageSize::DEFAULT).map(|memory| memory.pages);
/// assert_eq!(pages("256M"), Ok(65536));
/// assert_eq!(pages("4097"), Ok(2));
/// assert_eq!(pages("10P"), Ok(10));
/// ```
pub fn parse_memory(text: &str, page: PageSize) -> Result<Memory, ValueError> {
    Written::parse(text)
        .and_then(|written| match written {
            Written::Unlimited => Ok(Amount::UNLIMITED),
            written => Amount::new(page.pages_for(written.bytes(page).up)),
        })
        .map(|Amount { value: pages, clamped }| Memory { pages, clamped })
        .map_err(|reason| ValueError::new(text, reason, Form::Memory))
}

/// A pair of thresholds as vzctl writes it: in the resource's unit,
/// `unlimited` for the maximum, one value where both are the same.
///
/// [`parse_limits`] reads it back for any unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown(pub Limits);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limits { barrier, limit } = self.0;
        threshold(barrier, f)?;
        if barrier == limit {
            return Ok(());
        }
        f.write_str(":")?;
        threshold(limit, f)
    }
}

fn threshold(value: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        UNLIMITED => f.write_str("unlimited"),
        value => write!(f, "{value}"),
    }
}

#[cfg(test)]
mod tests;
