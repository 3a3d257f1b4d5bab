//! Shares and limits of input and output.

use std::num::NonZeroU64;

use crate::BlockDevice;

/// The weights 042stab and libvzctl give to ioprio 0..=7, on blkio's scale
/// of 10..=1000 where 500 is the default.
const WEIGHTS: [u32; 8] = [320, 365, 410, 460, 500, 550, 600, 640];

/// The priority of a container at a busy device, 0..=7; higher is more, 4 is
/// OpenVZ's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IoPriority(u8);

impl IoPriority {
    /// What a container has that was given none.
    pub const DEFAULT: IoPriority = IoPriority(4);

    /// `None` above 7.
    pub const fn new(priority: u8) -> Option<IoPriority> {
        if priority <= 7 { Some(IoPriority(priority)) } else { None }
    }

    /// The priority.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// `io.weight` (1..=10000) and `io.bfq.weight` (1..=1000), 64..=128: a
    /// fifth of OpenVZ's weight, so that the default of one is the default of
    /// the others (100) and the ratios stay what they were.
    pub fn weight(self) -> u32 {
        WEIGHTS[usize::from(self.0)] / 5
    }
}

/// The most per second, in bytes (iolimit) or operations (iopslimit).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Rate(Option<NonZeroU64>);

impl Rate {
    /// No limit.
    pub const UNLIMITED: Rate = Rate(None);

    /// This many per second; 0 is no limit.
    pub const fn per_second(amount: u64) -> Rate {
        Rate(NonZeroU64::new(amount))
    }

    /// The number; `None` is no limit.
    pub fn get(self) -> Option<u64> {
        self.0.map(NonZeroU64::get)
    }

    /// A value of `io.max`. The kernel takes what reaches `end` for no limit.
    fn text(self, end: u64) -> String {
        match self.get() {
            Some(amount) if amount < end => amount.to_string(),
            _ => "max".to_owned(),
        }
    }
}

/// The line of `io.max` for bytes. OpenVZ limits reads and writes together;
/// the kernel limits each, so both get the whole.
pub(super) fn bytes(device: BlockDevice, rate: Rate) -> String {
    let rate = rate.text(u64::MAX);
    format!("{device} rbps={rate} wbps={rate}")
}

/// The line of `io.max` for operations, of which the kernel counts 32 bits.
pub(super) fn operations(device: BlockDevice, rate: Rate) -> String {
    let rate = rate.text(u64::from(u32::MAX));
    format!("{device} riops={rate} wiops={rate}")
}

#[cfg(test)]
mod tests {
    use super::{IoPriority, Rate, WEIGHTS, bytes, operations};
    use crate::BlockDevice;

    #[test]
    fn a_container_of_default_priority_keeps_the_kernels_default_weight() {
        assert_eq!(IoPriority::DEFAULT.weight(), 100);
        assert_eq!(IoPriority::new(8), None);
        let weights = (0..8).map(|n| IoPriority::new(n).unwrap().weight());
        assert!(weights.eq([64, 73, 82, 92, 100, 110, 120, 128]));
    }

    #[test]
    fn scaling_keeps_the_ratio_of_any_two_priorities_within_two_percent() {
        for (a, old) in (0..8).zip(WEIGHTS) {
            let new = f64::from(IoPriority::new(a).unwrap().weight()) / 100.0;
            assert!((new / (f64::from(old) / 500.0) - 1.0).abs() < 0.01, "{a}");
        }
    }

    #[test]
    fn numbers_the_kernel_would_keep_otherwise_are_no_limit() {
        let device = BlockDevice { major: 8, minor: 16 };
        assert_eq!(bytes(device, Rate::per_second(1 << 20)), "8:16 rbps=1048576 wbps=1048576");
        assert_eq!(bytes(device, Rate::per_second(0)), "8:16 rbps=max wbps=max");
        assert_eq!(bytes(device, Rate::per_second(u64::MAX)), "8:16 rbps=max wbps=max");
        assert_eq!(operations(device, Rate::UNLIMITED), "8:16 riops=max wiops=max");
        let most = u64::from(u32::MAX);
        let last = "8:16 riops=4294967294 wiops=4294967294";
        assert_eq!(operations(device, Rate::per_second(most - 1)), last);
        assert_eq!(operations(device, Rate::per_second(most)), "8:16 riops=max wiops=max");
    }
}
