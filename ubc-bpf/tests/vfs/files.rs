//! numfile

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use ubc_core::Resource::NumFile;

use crate::common::shared::shared;
use crate::common::task::Task;

/// An overlay of two directories.
struct Overlay(PathBuf);

impl Overlay {
    fn new() -> Overlay {
        let dir = PathBuf::from(format!("/tmp/ubc-overlay-{}", std::process::id()));
        for part in ["lower", "upper", "work", "merged"] {
            fs::create_dir_all(dir.join(part)).expect("a directory can be made");
        }
        for number in 0..10 {
            fs::write(dir.join(format!("lower/{number}")), "below").expect("writable");
        }
        let options =
            format!("lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work", dir.display());
        let options = std::ffi::CString::new(options).expect("no zero inside");
        mount("overlay", dir.join("merged"), "overlay", MountFlags::empty(), Some(&*options))
            .expect("an overlay can be mounted");
        Overlay(dir)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = unmount(self.0.join("merged"), UnmountFlags::DETACH);
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_file_below_an_overlay_is_charged_once() {
    let Some(enforcer) = shared("a_file_below_an_overlay_is_charged_once") else { return };
    let overlay = Overlay::new();
    let merged = overlay.0.join("merged");
    let (scratch, slot) = enforcer.container(1);
    let mut task = Task::start(&scratch.path, |port| {
        let open = |number: usize, write: bool| {
            File::options().read(true).write(write).open(merged.join(number.to_string()))
        };
        // Every second one is copied up, for which the kernel opens files for a
        // moment that do count.
        for number in (1..10).step_by(2) {
            drop(open(number, true).expect("no limit yet"));
        }
        port.say(0);
        port.hear();
        let mut files = Vec::new();
        let errno = loop {
            match open(files.len(), files.len() % 2 == 1) {
                Ok(mut file) => {
                    let mut text = String::new();
                    file.read_to_string(&mut text).expect("readable");
                    assert_eq!(text, "below");
                    files.push(file);
                }
                Err(error) => break error.raw_os_error().unwrap_or(-1),
            }
        };
        port.say(i64::try_from(files.len()).expect("few"));
        port.say(errno.into());
        port.hear();
        drop(files);
        port.say(0);
        port.hear();
    });
    assert_eq!(task.hear(), 0);
    enforcer.settles(slot, NumFile, 0);
    let limit = enforcer.room(slot, NumFile, 6);
    task.say(0);
    assert_eq!(task.hear(), 6, "files opened");
    assert_eq!(task.hear(), libc::ENFILE.into());
    let count = enforcer.count(slot, NumFile);
    assert_eq!((count.held, count.maxheld, count.failcnt), (limit, limit, 1));
    assert_eq!(task.step(), 0);
    enforcer.settles(slot, NumFile, limit - 6);
    task.say(0);
    task.join();
    drop(overlay);
    enforcer.clean(&[slot]);
}
