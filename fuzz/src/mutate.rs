//! Changing inputs at random, the same way for the same seed.

/// No input grows beyond this many bytes.
pub const LONGEST: usize = 16 << 10;

/// Pieces that readers treat specially.
const WORDS: &[&[u8]] = &[
    b"9223372036854775807",
    b"9223372036854775808",
    b"18446744073709551615",
    b"18446744073709551616",
    b"2147483647",
    b"unlimited",
    b"Version: 2.5\n",
    b"kmemsize",
    b"swappages",
    b"dummy",
    b"101:",
    b"101.1:",
    b"99999999",
    b"\r\n",
    b"          ",
    b".5",
    b"T",
    b"-",
    b"max",
    b"0::/",
    b"\\040",
    b"lock:\t",
    b" -1 ",
    b" - ",
    b"../",
    b"cgroup.",
    b"State:\tZ\n",
    b"Pss:",
    b"leaving",
    b"\xff",
    b"\xc3\xa9",
];

/// Single bytes that readers treat specially, digits first.
const BYTES: &[u8] = b"0123456789 :.\n\t-+KMGTPBkmgtpb\0\x7f\xff\"{}[],e";

/// A small generator of random numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX);
        // The remainder is below a number that was a usize.
        self.number().checked_rem(end).map_or(0, |n| usize::try_from(n).unwrap_or(0))
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> Option<&'a T> {
        from.get(self.below(from.len())).copied()
    }
}

/// A number for some bytes, the same with every version of Rust (FNV-1a).
pub fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// An input of the corpus, changed in one to eight places.
pub fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut input = corpus.get(rng.below(corpus.len())).cloned().unwrap_or_default();
    // Few changes are likelier than many, so that most of a long table stays
    // intact.
    let changes = 1 + rng.below(8).min(rng.below(8));
    for _ in 0..changes {
        change(&mut input, corpus, rng);
    }
    input.truncate(LONGEST);
    input
}

fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut Rng) {
    let place = rng.below(input.len() + 1);
    let end = place + rng.below(input.len() - place + 1).min(1 + rng.below(64));
    let end = end.min(input.len());
    let byte = BYTES[rng.below(BYTES.len())];
    match rng.below(9) {
        // Overwriting keeps columns in place.
        0 | 1 => {
            if let Some(at) = input.get_mut(place) {
                *at = byte;
            }
        }
        2 => {
            if let Some(at) = input.get_mut(place) {
                *at ^= 1 << rng.below(8);
            }
        }
        3 => input.insert(place, byte),
        4 => drop(input.drain(place..end)),
        5 => {
            let copy = input[place..end].to_vec();
            let to = rng.below(input.len() + 1);
            input.splice(to..to, copy);
        }
        6 => {
            let word = rng.pick(WORDS).unwrap_or_default().iter().copied();
            input.splice(place..end, word);
        }
        7 => {
            let word = rng.pick(WORDS).unwrap_or_default().iter().copied();
            input.splice(place..place, word);
        }
        _ => {
            // The end of another input.
            if let Some(other) = corpus.get(rng.below(corpus.len())) {
                let from = rng.below(other.len() + 1);
                input.truncate(place);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
}
