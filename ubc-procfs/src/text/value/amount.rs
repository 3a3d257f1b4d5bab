//! One amount: the text of it, and what it comes to.

use ubc_core::{PageSize, UNLIMITED};

use super::Reason;

/// An amount as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// The word.
    Unlimited,
    /// A whole number.
    Bare(u64),
    /// A number with a suffix.
    Scaled {
        /// Digits before the point.
        whole: u64,
        /// Digits after the point, as a number of 10^-18 parts.
        fraction: u64,
        /// The suffix as written.
        suffix: char,
        /// What it stands for.
        scale: Scale,
    },
}

/// What a suffix multiplies by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// So many bytes.
    Bytes(u64),
    /// The page size.
    Pages,
}

/// An amount in bytes, which need not be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes {
    /// Rounded down.
    pub(super) down: u128,
    /// Rounded up.
    pub(super) up: u128,
}

/// Digits a fraction may have: 10^18 is the largest power of ten that fits.
const DECIMALS: usize = 18;
const PARTS: u64 = 10_u64.pow(18);

impl Written {
    /// Reads one amount: `unlimited`, digits, or digits, perhaps a point and
    /// digits, and one suffix. No sign, no blanks, no exponent.
    pub(super) fn parse(text: &str) -> Result<Written, Reason> {
        if text == "unlimited" {
            return Ok(Written::Unlimited);
        }
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, suffix) = text.split_at(end);
        let (whole, decimals) = match digits.split_once('.') {
            Some((whole, decimals)) => (whole, Some(decimals)),
            None => (digits, None),
        };
        let decimals_are_digits =
            decimals.is_none_or(|text| !text.is_empty() && !text.contains('.'));
        if whole.is_empty() || !decimals_are_digits {
            return Err(if text.is_empty() { Reason::Empty } else { Reason::NotANumber });
        }
        // Only digits, so the one thing that can go wrong is the size.
        let whole: u64 = whole.parse().map_err(|_| Reason::TooLarge)?;
        let mut suffixes = suffix.chars();
        let Some(suffix) = suffixes.next() else {
            return match decimals {
                None => Ok(Written::Bare(whole)),
                Some(_) => Err(Reason::FractionWithoutSuffix),
            };
        };
        if suffixes.next().is_some() {
            return Err(Reason::NotANumber);
        }
        let scale = match suffix.to_ascii_uppercase() {
            'T' => Scale::Bytes(1 << 40),
            'G' => Scale::Bytes(1 << 30),
            'M' => Scale::Bytes(1 << 20),
            'K' => Scale::Bytes(1 << 10),
            'B' => Scale::Bytes(1),
            'P' => Scale::Pages,
            _ => return Err(Reason::UnknownSuffix(suffix)),
        };
        let fraction = fraction(decimals.unwrap_or_default())?;
        Ok(Written::Scaled { whole, fraction, suffix, scale })
    }

    /// The amount in bytes, a bare number being bytes. Exact: at most
    /// 2^64 x 2^40.
    pub(super) fn bytes(self, page: PageSize) -> Bytes {
        let (whole, fraction, scale) = match self {
            Written::Unlimited => (UNLIMITED, 0, 1),
            Written::Bare(whole) => (whole, 0, 1),
            Written::Scaled { whole, fraction, scale: Scale::Bytes(scale), .. } => {
                (whole, fraction, scale)
            }
            Written::Scaled { whole, fraction, scale: Scale::Pages, .. } => {
                (whole, fraction, page.bytes())
            }
        };
        let product = |number: u64| u128::from(number) * u128::from(scale);
        let (parts, all) = (product(fraction), u128::from(PARTS));
        let whole = product(whole);
        Bytes { down: whole + parts / all, up: whole + parts.div_ceil(all) }
    }
}

/// Digits after the point as 10^-18 parts.
fn fraction(decimals: &str) -> Result<u64, Reason> {
    if decimals.is_empty() {
        return Ok(0);
    }
    if decimals.len() > DECIMALS {
        return Err(Reason::TooManyDecimals);
    }
    let number: u64 = decimals.parse().map_err(|_| Reason::NotANumber)?;
    let missing = u32::try_from(DECIMALS - decimals.len()).map_err(|_| Reason::NotANumber)?;
    Ok(number * 10_u64.pow(missing))
}

/// An amount in the unit it is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    /// 0 to [`UNLIMITED`].
    pub(super) value: u64,
    /// It was more.
    pub(super) clamped: bool,
}

impl Amount {
    pub(super) const UNLIMITED: Amount = Amount { value: UNLIMITED, clamped: false };

    pub(super) fn new(amount: u128) -> Result<Amount, Reason> {
        u64::try_from(amount).map(Amount::capped).map_err(|_| Reason::TooLarge)
    }

    pub(super) fn capped(amount: u64) -> Amount {
        Amount { value: amount.min(UNLIMITED), clamped: amount > UNLIMITED }
    }
}
