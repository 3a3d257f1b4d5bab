//! Who owns the numbers of a row.

/// Who owns the numbers of a row.
///
/// The first use of a row decides, for good: a charge makes it charged, an
/// observation observed. The other kind of use is an error from then on, so
/// that one row never mixes counted units with measured ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[repr(u8)]
pub enum Source {
    /// Neither charged nor observed so far.
    #[default]
    Unused = 0,
    /// The engine counts: charges and uncharges.
    Charged = 1,
    /// The kernel counts: the engine repeats what a meter saw.
    Observed = 2,
}

impl Source {
    pub(super) const fn from_word(word: u8) -> Source {
        match word {
            0 => Source::Unused,
            1 => Source::Charged,
            _ => Source::Observed,
        }
    }
}
