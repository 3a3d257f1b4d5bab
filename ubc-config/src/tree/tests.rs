use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;

fn tree() -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().unwrap();
    let tree = Tree::new(dir.path());
    std::fs::create_dir(tree.containers()).unwrap();
    (dir, tree)
}

fn id(number: u32) -> ContainerId {
    ContainerId::new(number).unwrap()
}

#[test]
fn a_container_without_a_file_has_what_the_global_one_says() {
    let (_dir, tree) = tree();
    assert!(tree.config(id(101), PageSize::DEFAULT).unwrap().config.is_empty());
    std::fs::write(tree.global(), "VERBOSE=0\nNUMPROC=\"5\"\n").unwrap();
    std::fs::write(tree.container(id(102)), "NUMPROC=\"6\"\n").unwrap();
    let numproc = |number| {
        let config = tree.config(id(number), PageSize::DEFAULT).unwrap().config;
        config.text(crate::Key::Row(ubc_core::Resource::NumProc))
    };
    assert_eq!((numproc(101).as_deref(), numproc(102).as_deref()), (Some("5"), Some("6")));
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    let (_dir, tree) = tree();
    for path in [tree.global(), tree.container(id(101))] {
        std::fs::write(&path, "\nNUMPROC=\"x\"\n").unwrap();
        let error = tree.config(id(101), PageSize::DEFAULT).unwrap_err().to_string();
        let says = format!("{}, line 2: NUMPROC: \"x\": not a number; accepted: ", path.display());
        assert!(error.starts_with(&says), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn what_is_no_file_or_too_long_is_refused() {
    let (_dir, tree) = tree();
    let path = tree.container(id(101));
    std::fs::create_dir(&path).unwrap();
    assert!(tree.document(id(101)).unwrap_err().to_string().contains("not a regular file"));
    std::fs::remove_dir(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(tree.document(id(101)).unwrap_err().to_string().contains("not a regular file"));
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(tree.document(id(101)).unwrap_err().to_string().contains("longer than"));
}

#[test]
fn a_file_is_replaced_whole_with_its_mode_and_owner_or_not_at_all() {
    let (_dir, tree) = tree();
    let path = tree.container(id(101));
    std::fs::write(&path, "NUMPROC=1\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can give a file away.
    let gid =
        if rustix::process::geteuid().is_root() { 12 } else { path.metadata().unwrap().gid() };
    std::os::unix::fs::chown(&path, None, Some(gid)).unwrap();
    let lock = tree.lock().unwrap();
    let mut document = tree.document(id(101)).unwrap().unwrap();
    document.set("NUMPROC", b"2");

    drop(Staged::new(&lock, &path, &document).unwrap());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "NUMPROC=1\n");

    Staged::new(&lock, &path, &document).unwrap().commit().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "NUMPROC=\"2\"\n");
    let now = path.metadata().unwrap();
    assert_eq!((now.mode() & 0o7777, now.gid()), (0o640, gid));
    let names: Vec<_> =
        tree.containers().read_dir().unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");

    // What a writer left that was killed is no hindrance.
    let stale = tree.containers().join(".102.conf.ubc-new");
    std::fs::write(&stale, "half").unwrap();
    let new = tree.container(id(102));
    Staged::new(&lock, &new, &document).unwrap().commit().unwrap();
    assert!(!stale.exists());
    assert_eq!(new.metadata().unwrap().mode() & 0o7777, 0o644);
}

#[test]
fn a_link_stays_a_link() {
    let (dir, tree) = tree();
    let real = dir.path().join("real");
    std::fs::write(&real, "NUMPROC=1\n").unwrap();
    let path = tree.container(id(101));
    symlink(&real, &path).unwrap();
    let lock = tree.lock().unwrap();
    let mut document = tree.document(id(101)).unwrap().unwrap();
    document.set("NUMPROC", b"2");
    Staged::new(&lock, &path, &document).unwrap().commit().unwrap();
    assert!(path.is_symlink());
    assert_eq!(std::fs::read_to_string(&real).unwrap(), "NUMPROC=\"2\"\n");
}

#[test]
fn writers_wait_for_each_other() {
    let (_dir, tree) = tree();
    let lock = tree.lock().unwrap();
    let path = tree.containers().join(".ubc.lock");
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    let other = File::open(&path).unwrap();
    let taken = || rustix::fs::flock(&other, FlockOperation::NonBlockingLockExclusive);
    assert_eq!(taken(), Err(rustix::io::Errno::WOULDBLOCK));
    drop(lock);
    assert_eq!(taken(), Ok(()));
}

#[test]
fn samples_of_the_directory_come_before_ours() {
    let (_dir, tree) = tree();
    let ours = tree.sample("ve-basic").unwrap();
    assert_eq!(ours, tree.sample("basic").unwrap());
    std::fs::write(tree.containers().join("ve-basic.conf-sample"), "NUMPROC=1\n").unwrap();
    std::fs::write(tree.containers().join("ve-mine.conf-sample"), "NUMPROC=2\n").unwrap();
    assert_ne!(ours, tree.sample("basic").unwrap());
    assert_eq!(tree.sample("mine").unwrap().get("NUMPROC"), Some(&b"2"[..]));
    for name in ["nope", "", "../conf/ve-mine", "ve-"] {
        let error = tree.sample(name).unwrap_err().to_string();
        assert!(error.contains("accepted: basic, light, mine, vswap-1024m"), "{error}");
    }
}

#[test]
fn only_ids_are_containers() {
    let (_dir, tree) = tree();
    for name in ["101.conf", "7.conf", "0.conf", "007.conf", "123456789.conf", "x.conf", "9.conf~"]
    {
        std::fs::write(tree.containers().join(name), "").unwrap();
    }
    let (ids, others) = tree.ids().unwrap();
    assert_eq!(ids, [id(7), id(101)]);
    assert_eq!(others, ["007.conf", "123456789.conf", "x.conf"]);
}
