use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;
use ubc_core::{Limits, PerResource, Row, UNLIMITED};

use super::*;
use crate::Origin;

/// Keeps nothing, and notes what it is asked.
#[derive(Default)]
struct Nobody(Mutex<Vec<String>>);

impl Holder for Nobody {
    fn hold(&self, name: &str, _: BorrowedFd<'_>, _: bool) -> io::Result<()> {
        self.0.lock().push(name.to_owned());
        Ok(())
    }

    fn settle(&self) -> io::Result<()> {
        Ok(())
    }

    fn forget(&self, name: &str) {
        self.0.lock().retain(|other| other != name);
    }
}

/// A file system of 64 KiB, unmounted at the end.
struct Tiny(TempDir);

impl Tiny {
    fn new() -> Option<Tiny> {
        let dir = tempfile::tempdir().unwrap();
        let options = Some(c"size=64k");
        match mount("none", dir.path(), "tmpfs", MountFlags::empty(), options) {
            Ok(()) => Some(Tiny(dir)),
            Err(error) => {
                println!("SKIP: cannot mount a tmpfs: {error}");
                None
            }
        }
    }

    /// Leaves no byte free.
    fn fill(&self) {
        let mut filler = File::create(self.0.path().join("filler")).unwrap();
        while filler.write_all(&[1; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.path().join("filler")).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What a successor would find.
    fn found(&self) -> State {
        let all = keeper(self, &Arc::default()).load(true).unwrap();
        <[State; 1]>::try_from(all).unwrap()[0].clone()
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = unmount(self.0.path(), UnmountFlags::DETACH);
    }
}

fn keeper(disk: &Tiny, holder: &Arc<Nobody>) -> Arc<Keeper> {
    Arc::new(Keeper::new(disk.0.path().to_owned(), Arc::clone(holder) as Arc<dyn Holder>))
}

fn kept(disk: &Tiny, holder: &Arc<Nobody>) -> Kept {
    let id = ContainerId::new(101).unwrap();
    let kept =
        Kept::new(&keeper(disk, holder), State::new(id, &Origin::Made, "ubc/101", 7).unwrap());
    kept.update(|_| {});
    kept
}

/// A change of limits, as it was before it.
fn before() -> Before {
    let limits = PerResource::from_fn(|_| Limits::both(12_345_678).unwrap());
    Before { files: vec![("pids.max".to_owned(), "max".to_owned())], limits: Some(limits) }
}

fn reading(maxheld: u64) -> Reading {
    let (barrier, limit) = (UNLIMITED, UNLIMITED);
    let rows =
        PerResource::from_fn(|_| Row { held: 0, maxheld, minheld: 0, barrier, limit, failcnt: 0 });
    Reading { id: ContainerId::new(101).unwrap(), rows }
}

#[test]
fn a_full_disk_leaves_the_old_file_whole_and_nothing_half_written() {
    let Some(disk) = Tiny::new() else { return };
    let path = disk.0.path().join("101.json");
    file::write(&path, &"old").unwrap();
    disk.fill();
    for length in [1, 3 * 4096] {
        let error = file::write(&path, &"n".repeat(length)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        assert!(error.to_string().contains("101.json.new"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\"old\"");
        assert_eq!(disk.names(), ["101.json", "filler"]);
    }
    disk.empty();
    file::write(&path, &"new").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "\"new\"");
}

#[test]
fn what_a_full_disk_did_not_take_is_written_as_soon_as_there_is_room() {
    let Some(disk) = Tiny::new() else { return };
    let kept = kept(&disk, &Arc::default());
    disk.fill();
    kept.update(|state| state.lives = true);
    kept.record(&reading(5), || Some(ubc_core::Registry::new().snapshot()));
    assert!(!disk.found().lives);
    assert_eq!(disk.names(), ["101.json", "filler"]);
    disk.empty();
    // The next reading finds nothing new, and room.
    kept.record(&reading(5), || Some(ubc_core::Registry::new().snapshot()));
    assert!(disk.found().lives);
    assert_eq!(disk.names(), ["101.counts", "101.json"]);
    kept.remove();
    assert!(disk.names().is_empty());
}

#[test]
fn a_change_that_cannot_be_announced_is_none_and_one_that_was_can_be_finished() {
    let Some(disk) = Tiny::new() else { return };
    let kept = kept(&disk, &Arc::default());
    disk.fill();
    let error = kept.announce(before()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert_eq!(disk.found().pending, None);
    disk.empty();
    kept.announce(before()).unwrap();
    assert!(disk.found().pending.is_some());
    // Somebody else takes all that is left.
    disk.fill();
    kept.try_update(|state| {
        state.configured = PerResource::from_fn(|_| Some(Limits::both(87_654_321).unwrap()));
        state.pending = None;
    })
    .unwrap();
    let found = disk.found();
    assert!(found.pending.is_none() && found.configured.iter().all(|(_, row)| row.is_some()));
    assert_eq!(disk.names(), ["101.json", "filler"]);
}

#[test]
fn a_view_that_a_full_disk_takes_no_note_of_is_not_held_for_ever() {
    let Some(disk) = Tiny::new() else { return };
    let holder = Arc::<Nobody>::default();
    let kept = kept(&disk, &holder);
    let file = tempfile::tempfile().unwrap();
    let parts = [Part { name: "0d", fd: file.as_fd(), ends: false }];
    disk.fill();
    assert!(kept.hold(&parts, |_| {}).is_err());
    assert!(holder.0.lock().is_empty() && disk.found().descriptors.is_empty());
    disk.empty();
    kept.hold(&parts, |_| {}).unwrap();
    assert_eq!(*holder.0.lock(), ["101-0d"]);
    assert_eq!(disk.found().descriptors, ["101-0d"]);
}
