//! Who heeds the weights of the io controller.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::Scheduled;
use crate::files;

/// What acts on `io.weight` or `io.bfq.weight` on this machine. Either file
/// takes any value whether somebody acts on it or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weigher {
    /// io.cost is enabled for some device.
    pub(crate) io_cost: bool,
    /// BFQ schedules some device.
    pub(crate) bfq: bool,
}

impl Weigher {
    /// Looks at the root cgroup's `io.cost.qos`, which has a line for each
    /// device somebody configured, and at the scheduler of each device.
    pub(crate) fn probe(root: BorrowedFd<'_>) -> Weigher {
        let qos = files::read(root, "io.cost.qos").unwrap_or_default();
        Weigher { io_cost: has_enabled(&qos), bfq: bfq(Path::new("/sys/block")) }
    }

    /// The status of the priority, given the files there are.
    pub(crate) fn status(self, has_weight: bool, has_bfq_weight: bool) -> Scheduled {
        let file = match (has_weight, has_bfq_weight) {
            (true, _) if self.io_cost => return Scheduled::by("io.weight"),
            (_, true) if self.bfq => return Scheduled::by("io.bfq.weight"),
            (true, _) => "io.weight",
            (false, true) => "io.bfq.weight",
            (false, false) => {
                return Scheduled::Not(
                    "this cgroup has neither io.weight nor io.bfq.weight".into(),
                );
            }
        };
        let reason = "no device has io.cost enabled (io.cost.qos) or BFQ as its scheduler";
        Scheduled::Inert { file, reason: reason.into() }
    }
}

/// `8:0 enable=1 ctrl=auto ...`
fn has_enabled(qos: &[u8]) -> bool {
    qos.split(|&b| matches!(b, b' ' | b'\n')).any(|word| word == b"enable=1")
}

/// Whether a device's `queue/scheduler` has BFQ in brackets.
fn bfq(block: &Path) -> bool {
    std::fs::read_dir(block).into_iter().flatten().flatten().any(|device| {
        std::fs::read_to_string(device.path().join("queue/scheduler"))
            .is_ok_and(|text| text.split_whitespace().any(|word| word == "[bfq]"))
    })
}

#[cfg(test)]
mod tests {
    use super::{Weigher, bfq, has_enabled};
    use crate::Scheduled;

    #[test]
    fn a_weight_nobody_heeds_is_not_called_applied() {
        let nobody = Weigher::default();
        assert!(matches!(nobody.status(true, true), Scheduled::Inert { file: "io.weight", .. }));
        assert!(matches!(nobody.status(false, false), Scheduled::Not(_)));
        let io_cost = Weigher { io_cost: true, bfq: false };
        assert_eq!(io_cost.status(true, true), Scheduled::by("io.weight"));
        assert!(!io_cost.status(false, true).is_applied());
        let bfq = Weigher { io_cost: false, bfq: true };
        assert_eq!(bfq.status(true, true), Scheduled::by("io.bfq.weight"));
        assert!(!bfq.status(true, false).is_applied());
    }

    #[test]
    fn a_device_that_is_configured_but_off_weighs_nothing() {
        assert!(has_enabled(b"8:0 enable=0 ctrl=auto\n8:16 enable=1 ctrl=user\n"));
        assert!(!has_enabled(b"8:0 enable=0 ctrl=auto\n"));
        assert!(!has_enabled(b""));
    }

    #[test]
    fn bfq_offered_is_not_bfq_chosen() {
        let dir = tempfile::tempdir().unwrap();
        let queue = dir.path().join("sda/queue");
        std::fs::create_dir_all(&queue).unwrap();
        std::fs::write(queue.join("scheduler"), "[none] mq-deadline bfq\n").unwrap();
        assert!(!bfq(dir.path()));
        std::fs::write(queue.join("scheduler"), "none mq-deadline [bfq]\n").unwrap();
        assert!(bfq(dir.path()));
        assert!(!bfq(&dir.path().join("absent")));
    }
}
