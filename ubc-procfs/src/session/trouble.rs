//! What a device says that it never says: that there is no memory, or that it fails.

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use log::{info, warn};

/// Longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(1);

/// Readers wait as long as anybody holds the device, so nobody gives up: what failed
/// is tried again, ever more slowly, and that is said once.
#[derive(Default)]
pub(super) struct Trouble {
    times: u32,
}

impl Trouble {
    /// Something failed; returns when it is time to try again.
    pub(super) fn met(&mut self, error: &impl fmt::Display) {
        if self.times == 0 {
            warn!("view: the FUSE device failed, which is tried until it works: {error}");
        }
        sleep(Duration::from_millis(1 << self.times.min(10)).min(LONGEST));
        self.times = self.times.saturating_add(1);
    }

    /// Something worked.
    pub(super) fn over(&mut self) {
        if self.times > 0 {
            info!("view: the FUSE device works again");
            self.times = 0;
        }
    }
}
