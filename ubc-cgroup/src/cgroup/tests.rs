use std::path::PathBuf;

use super::{Cgroup, CgroupName, InvalidName};

#[test]
fn names_are_normalised_and_bad_ones_refused() {
    assert_eq!(CgroupName::new("/ubc//101/").unwrap().as_str(), "ubc/101");
    assert_eq!(CgroupName::new("ubc.slice/a b:c").unwrap().as_str(), "ubc.slice/a b:c");
    for (text, why) in [
        ("", InvalidName::Empty),
        ("//", InvalidName::Empty),
        ("a/..", InvalidName::Dots),
        ("./a", InvalidName::Dots),
        ("a\nb", InvalidName::ControlByte),
        ("a\0b", InvalidName::ControlByte),
        ("cgroup.procs", InvalidName::ControlFile),
    ] {
        assert_eq!(CgroupName::new(text), Err(why), "{text:?}");
    }
    assert_eq!(CgroupName::new(&"x".repeat(255)).map(|n| n.as_str().len()), Ok(255));
    assert_eq!(CgroupName::new(&"x".repeat(256)), Err(InvalidName::TooLong));
    assert_eq!(CgroupName::new(&"x/".repeat(33)), Err(InvalidName::TooDeep));
}

#[test]
fn a_process_of_a_cgroup_with_a_longer_name_is_no_member() {
    let dir = tempfile::tempdir().unwrap();
    let open = || std::fs::File::open(dir.path()).unwrap().into();
    let cgroup = Cgroup {
        dir: open(),
        root: open(),
        name: CgroupName::new("ubc/10").unwrap(),
        path: PathBuf::from("/x"),
        membership: b"/ubc/10".to_vec(),
    };
    assert!(cgroup.contains(b"0::/ubc/10\n"));
    assert!(cgroup.contains(b"9:pids:/other\n0::/ubc/10/nested\n"));
    assert!(!cgroup.contains(b"0::/ubc/101\n"));
    assert!(!cgroup.contains(b"0::/ubc\n"));
    assert!(!cgroup.contains(b"0::/\n"));
    assert!(!cgroup.contains(b"9:pids:/ubc/10\n"));
    assert!(!cgroup.contains(b""));
}
