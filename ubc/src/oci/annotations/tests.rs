use super::*;
use crate::error::Kind;

fn read(all: &[(&str, &str)]) -> Result<Annotations> {
    let all: Vec<_> = all.iter().map(|(name, value)| (format!("{PREFIX}{name}"), *value)).collect();
    Annotations::read(all.iter().map(|(name, value)| (name.as_str(), *value)))
}

fn id(number: u32) -> ContainerId {
    ContainerId::new(number).unwrap()
}

struct Etc(tempfile::TempDir);

impl Etc {
    fn new() -> Etc {
        let etc = Etc(tempfile::tempdir().unwrap());
        std::fs::create_dir(etc.0.path().join("conf")).unwrap();
        etc.file("conf/101.conf", "NUMPROC=\"101:101\"\nNUMPTY=\"7\"\n");
        etc.file("vz.conf", "NUMFLOCK=\"11\"\n");
        etc.file("conf/ve-small.conf-sample", "NUMPROC=\"50\"\nPHYSPAGES=\"0:1000\"\n");
        etc
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn resolve(&self, all: &[(&str, &str)], id: Option<ContainerId>) -> Resolved {
        self.below(all, id, &Ceiling::default())
    }

    fn below(&self, all: &[(&str, &str)], id: Option<ContainerId>, most: &Ceiling) -> Resolved {
        read(all).unwrap().resolve(&Tree::new(self.0.path()), id, most).unwrap()
    }
}

fn rows(resolved: &Resolved) -> [Option<u64>; 3] {
    [Resource::NumProc, Resource::NumPty, Resource::NumFlock].map(|row| resolved.limit(row))
}

#[test]
fn annotations_beat_a_profile_and_a_profile_the_files() {
    let etc = Etc::new();
    let on = Some(id(101));
    assert_eq!(rows(&etc.resolve(&[], on)), [Some(101), Some(7), Some(11)]);
    assert_eq!(rows(&etc.resolve(&[("numpty", "9")], on)), [Some(101), Some(9), Some(11)]);
    let profile = ("profile", "small");
    assert_eq!(rows(&etc.resolve(&[profile], on)), [Some(50), None, None]);
    assert_eq!(rows(&etc.resolve(&[profile, ("numproc", "60")], on)), [Some(60), None, None]);
    // The default is for those who have nothing of their own.
    let default = (DEFAULT_PROFILE, "small");
    assert_eq!(rows(&etc.resolve(&[default], on)), [Some(101), Some(7), Some(11)]);
    assert_eq!(rows(&etc.resolve(&[default], Some(id(102)))), [Some(50), None, None]);
    assert_eq!(rows(&etc.resolve(&[default], None)), [Some(50), None, None]);
    assert_eq!(rows(&etc.resolve(&[], None)), [None, None, Some(11)]);
}

#[test]
fn ram_and_swap_mean_what_they_mean_to_set() {
    let etc = Etc::new();
    let page = crate::limits::page_size().unwrap();
    let resolved = etc.resolve(&[("ram", "1M"), ("swap", "1M"), ("cpulimit", "25%")], None);
    let pages = (1 << 20) / page.bytes();
    assert_eq!(resolved.limit(Resource::PhysPages), Some(pages));
    assert_eq!(resolved.limits[Resource::VmGuarPages].unwrap().barrier, 2 * pages);
    assert!(!resolved.schedule.is_empty());
    // Alone it needs RAM from elsewhere, which the id's file may have.
    let swap = read(&[("swap", "1M")]).unwrap();
    let tree = Tree::new(etc.0.path());
    let error = swap.resolve(&tree, None, &Ceiling::default()).unwrap_err();
    assert!(error.message.starts_with("annotation org.openvz.ubc.swap and "), "{error}");
    let swap = [("swap", "1M"), (DEFAULT_PROFILE, "small")];
    assert_eq!(etc.resolve(&swap, None).limit(Resource::PhysPages), Some(1000));
}

#[test]
fn an_annotation_lifts_no_limit_of_the_runtimes() {
    let etc = Etc::new();
    let linux = r#"{"resources":{"pids":{"limit":40},"memory":{"limit":409600,"swap":819200}}}"#;
    let most = Ceiling::of(Some(&serde_json::from_str(linux).unwrap())).unwrap();
    let numproc = |all: &[(&str, &str)], id| etc.below(all, id, &most).limit(Resource::NumProc);
    assert_eq!(numproc(&[("numproc", "60")], None), Some(40));
    assert_eq!(numproc(&[("numproc", "unlimited")], None), Some(40));
    assert_eq!(numproc(&[("numproc", "30")], None), Some(30));
    assert_eq!(numproc(&[("profile", "small")], None), Some(40));
    // The file is the administrator's word.
    assert_eq!(numproc(&[], Some(id(101))), Some(101));
    assert_eq!(numproc(&[("numpty", "9")], Some(id(101))), Some(101));
    let sized = etc.below(&[("ram", "1G"), ("swap", "1G")], None, &most);
    let pages = 409_600 / crate::limits::page_size().unwrap().bytes();
    assert_eq!(sized.limit(Resource::PhysPages), Some(pages));
    assert_eq!(sized.limit(Resource::SwapPages), Some(pages));
}

#[test]
fn a_wrong_one_is_told_with_its_name_its_value_and_what_would_do() {
    for (name, value, says) in [
        ("ctid", "0", "annotation org.openvz.ubc.ctid=0; accepted: 1 to 99999999"),
        ("numfile", "many", "annotation org.openvz.ubc.numfile: \"many\": "),
        ("numfile", "9:5", "annotation org.openvz.ubc.numfile: \"9:5\": "),
        ("ram", "-1", "annotation org.openvz.ubc.ram: \"-1\": "),
        ("meminfo", "big", "annotation org.openvz.ubc.meminfo: "),
        ("cpulimit", "x", "annotation org.openvz.ubc.cpulimit: \"x\": "),
        ("nothing", "1", "annotation org.openvz.ubc.nothing=\"1\": no such name; accepted: "),
    ] {
        let error = read(&[(name, value)]).unwrap_err();
        assert!(error.message.starts_with(says), "{error}");
        assert!(error.message.contains("accepted: "), "{error}");
        assert_eq!(error.kind, Kind::Usage);
    }
    let wrong = read(&[("profile", "none-such")]).unwrap();
    let none = Ceiling::default();
    let error = wrong.resolve(&Tree::new("/no/such"), None, &none).unwrap_err();
    assert!(error.message.starts_with("annotation org.openvz.ubc.profile: no sample "), "{error}");
    // Others' are none of our business.
    assert!(Annotations::read([("org.openvz.other", "x")].into_iter()).is_ok());
}
