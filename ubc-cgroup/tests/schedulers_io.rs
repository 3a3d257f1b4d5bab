//! What the io controller's knobs do to direct writes, as ratios.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Container, measured, ratio, read, set, settles, within};
use ubc_cgroup::{
    BlockDevice, CpuUnits, Error, IoPriority, Knob, Rate, Schedule, Scheduled, Scheduler,
};

#[test]
fn iolimit_and_iopslimit_slow_direct_writes_and_can_be_lifted() {
    let Some(container) = Container::new() else { return };
    if !container.has("io") {
        return;
    }
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let device = match BlockDevice::of_path(dir.path()) {
        Ok(device) => device,
        Err(error) => return common::skip(error),
    };
    let cgroup = container.inner("a");
    let mut scheduler = Scheduler::new(&cgroup).unwrap();
    let script = format!(
        r"
f = os.open('{}/f', os.O_CREAT | os.O_RDWR | os.O_DIRECT)
def write(size, count):
    block = mmap.mmap(-1, size)
    start = time.monotonic()
    for n in range(count): os.pwrite(f, block, n * size)
    return count / (time.monotonic() - start)
write(1 << 20, 12)
while True:
    stage(write(1 << 20, 12))
    stage(write(4096, 60))
",
        dir.path().display()
    );
    let mut actor = Container::python_in(&cgroup, &[], &script);
    let mut speeds = |io_limit, iops_limit| {
        let (io_limit, iops_limit) = (Some(io_limit), Some(iops_limit));
        let devices = vec![device];
        set(&mut scheduler, &Schedule { io_limit, iops_limit, devices, ..Schedule::default() });
        actor.next();
        let mib = actor.fact();
        actor.next();
        let line = read(&cgroup, "io.max");
        measured(format!("io.max {line:?}: {mib:.1} MiB/s; {:.1} writes/s", actor.fact()));
        (mib, actor.fact(), line)
    };
    settles(|| {
        let (mib, ops, line) = speeds(Rate::per_second(4 << 20), Rate::per_second(20));
        assert_eq!(line, format!("{device} rbps=4194304 wbps=4194304 riops=20 wiops=20"));
        let (free, many, line) = speeds(Rate::UNLIMITED, Rate::UNLIMITED);
        assert_eq!(line, "");
        within((2.0..5.5).contains(&mib), || format!("{mib} MiB/s at 4"))?;
        within((10.0..30.0).contains(&ops), || format!("{ops} writes/s at 20"))?;
        within(free > 2.0 * mib && many > 2.0 * ops, || format!("{free} MiB/s, {many} writes/s"))
    });
}

#[test]
fn a_partition_or_absent_device_is_an_error_that_undoes_the_rest() {
    let Some(container) = Container::new() else { return };
    if !container.has("io") || !container.has("cpu") {
        return;
    }
    let cgroup = container.inner("a");
    let schedule = Schedule {
        cpu_units: CpuUnits::new(5000),
        io_limit: Some(Rate::per_second(1 << 20)),
        devices: vec![BlockDevice { major: 4095, minor: 7 }],
        ..Schedule::default()
    };
    let error = Scheduler::new(&cgroup).unwrap().apply(&schedule).unwrap_err();
    let Error::Limit { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.raw_os_error(), Some(19), "ENODEV: {error}");
    assert_eq!(read(&cgroup, "cpu.weight"), "100");
}

/// A loop device of the test's own that io.cost may be told about.
struct Loop {
    _dir: tempfile::TempDir,
    path: String,
    device: BlockDevice,
    qos: PathBuf,
}

impl Loop {
    fn new(mount: &Path) -> Result<Loop, String> {
        let dir = tempfile::tempdir_in("/var/tmp").map_err(|error| error.to_string())?;
        let file = dir.path().join("disk");
        File::create(&file).unwrap().set_len(512 << 20).unwrap();
        // Where loop is a module, somebody has to load it.
        let script = "[ -e /dev/loop-control ] || modprobe loop; losetup -f --show \"$0\"";
        let made = Command::new("sh").args(["-c", script]).arg(&file).output().unwrap();
        if !made.status.success() {
            return Err(format!("losetup: {}", String::from_utf8_lossy(&made.stderr).trim()));
        }
        let path = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let device = BlockDevice::of_path(Path::new(&path)).unwrap();
        Ok(Loop { _dir: dir, path, device, qos: mount.join("io.cost.qos") })
    }

    /// Lets io.cost give out 4 MB/s of it, and no more: two readers must want more
    /// than that also on a machine that does much else.
    fn enable(&self) {
        let device = self.device;
        let model = "rbps=4000000 rseqiops=80 rrandiops=80 \
            wbps=4000000 wseqiops=80 wrandiops=80";
        let model = format!("{device} ctrl=user model=linear {model}");
        std::fs::write(self.qos.with_file_name("io.cost.model"), model).unwrap();
        let qos = "enable=1 ctrl=user rpct=0 rlat=5000 wpct=0 wlat=5000 min=100 max=100";
        std::fs::write(&self.qos, format!("{device} {qos}")).unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = std::fs::write(&self.qos, format!("{} enable=0", self.device));
        assert!(Command::new("losetup").args(["-d", &self.path]).status().unwrap().success());
    }
}

#[test]
fn ioprio_is_said_to_be_inert_until_something_heeds_it_and_then_divides() {
    let Some(container) = Container::new() else { return };
    if !container.has("io") {
        return;
    }
    let (a, b) = (container.inner("a"), container.inner("b"));
    let apply = |cgroup, priority| {
        let schedule = Schedule { io_priority: IoPriority::new(priority), ..Schedule::default() };
        let mut said = Scheduler::new(cgroup).unwrap().apply(&schedule).unwrap();
        let said = said.remove(&Knob::IoPriority).unwrap();
        let host = container.host.schedulers().remove(&Knob::IoPriority).unwrap();
        assert_eq!(said.is_applied(), host.is_applied(), "{said}, {host}");
        said
    };
    let before = apply(&a, 0);
    let qos = container.host.mount().join("io.cost.qos");
    let Ok(text) = std::fs::read_to_string(&qos) else {
        return common::skip("this kernel has no io.cost");
    };
    assert_eq!(read(&a, "io.weight"), "default 64");
    if text.contains("enable=1") || Path::new("/sys/module/bfq").exists() {
        return common::skip("somebody uses io.cost or BFQ here");
    }
    measured(format!("ioprio 0: {before}"));
    assert!(matches!(before, Scheduled::Inert { file: "io.weight", .. }), "{before}");

    let disk = match Loop::new(container.host.mount()) {
        Ok(disk) => disk,
        Err(reason) => return common::skip(reason),
    };
    // Four at once: io.cost gives away what a container leaves unused for a moment,
    // and one reader leaves its share unused whenever it is not waiting.
    let script = format!(
        r"
f = os.open('{}', os.O_RDONLY | os.O_DIRECT)
def reads(start, done):
    block, at = mmap.mmap(-1, 1 << 16), 0
    while time.monotonic() < start + 6:
        at = (at + os.preadv(f, [block], at)) % (256 << 20)
        done.append(at)
while True:
    stage()
    done, start = [], time.monotonic()
    readers = [threading.Thread(target=reads, args=(start, done)) for n in range(4)]
    for reader in readers: reader.start()
    for reader in readers: reader.join()
    stage(len(done))
",
        disk.path
    );
    let (mut first, mut second) =
        (Container::python_in(&a, &[], &script), Container::python_in(&b, &[], &script));
    disk.enable();
    assert_eq!(
        (apply(&a, 0), apply(&b, 7)),
        (Scheduled::by("io.weight"), Scheduled::by("io.weight"))
    );
    settles(|| {
        first.next();
        second.next();
        let ratio = ratio(&mut first, &mut second);
        measured(format!("ioprio 0:7 with io.cost: bytes 1:{ratio:.2}"));
        within((1.6..2.5).contains(&ratio), || format!("bytes 1:{ratio}"))
    });
    // Closed before the device goes.
    drop((first, second));
}
