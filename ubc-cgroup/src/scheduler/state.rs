//! What a container's scheduler files say now, whoever wrote them.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use super::{Knob, NO_DEVICE, Scheduled, Scheduler, Weigher, missing};
use crate::BlockDevice;

/// One knob of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnobState {
    /// What the kernel's file says of it, in the kernel's words, on one line;
    /// `None` where there is no file. cpulimit and cpus share theirs.
    pub in_force: Option<String>,
    /// Who acts on it.
    pub scheduled: Scheduled,
}

impl Scheduler {
    /// Each knob as its file has it. `iolimit` and `iopslimit` have the
    /// devices with a limit, and nothing (an empty text) where none has one.
    pub fn state(&self) -> BTreeMap<Knob, KnobState> {
        let weigher = Weigher::probe(self.root.as_fd());
        let has_devices = BlockDevice::all().is_ok_and(|all| !all.is_empty());
        let state = |knob: Knob| {
            let text = self.files.text(knob.file());
            let scheduled = match knob {
                Knob::IoPriority => self.weighed(weigher),
                _ if text.is_none() => missing(knob),
                Knob::IoLimit | Knob::IopsLimit if !has_devices => Scheduled::Not(NO_DEVICE.into()),
                _ => Scheduled::by(knob.file()),
            };
            let text = match knob {
                Knob::IoPriority => text.or_else(|| self.files.text("io.bfq.weight")),
                _ => text,
            };
            KnobState { in_force: text.map(|text| of_knob(knob, &text)), scheduled }
        };
        Knob::ALL.into_iter().map(|knob| (knob, state(knob))).collect()
    }
}

/// What the text of a file says of a knob.
fn of_knob(knob: Knob, text: &str) -> String {
    let keys = match knob {
        Knob::IoLimit => ["rbps=", "wbps="],
        Knob::IopsLimit => ["riops=", "wiops="],
        // The weights of single devices are nobody's priority.
        Knob::IoPriority => return text.lines().next().unwrap_or_default().to_owned(),
        _ => return text.to_owned(),
    };
    let devices = text.lines().filter_map(|line| {
        let kept = |word: &&str| {
            keys.iter().any(|key| word.strip_prefix(key).is_some_and(|value| value != "max"))
        };
        let limits: Vec<&str> = line.split(' ').skip(1).filter(kept).collect();
        let device = line.split(' ').next()?;
        (!limits.is_empty()).then(|| format!("{device} {}", limits.join(" ")))
    });
    devices.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::of_knob;
    use crate::Knob;

    #[test]
    fn a_device_without_this_limit_is_not_listed_under_it() {
        let text = "8:0 rbps=1024 wbps=1024 riops=max wiops=max\n\
                    8:16 rbps=max wbps=max riops=7 wiops=max";
        assert_eq!(of_knob(Knob::IoLimit, text), "8:0 rbps=1024 wbps=1024");
        assert_eq!(of_knob(Knob::IopsLimit, text), "8:16 riops=7");
        assert_eq!(of_knob(Knob::IoLimit, ""), "");
        assert_eq!(of_knob(Knob::IoPriority, "default 100\n8:0 200"), "default 100");
        assert_eq!(of_knob(Knob::CpuLimit, "max 100000"), "max 100000");
    }
}
