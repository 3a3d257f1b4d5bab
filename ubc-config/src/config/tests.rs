use proptest::prelude::*;
use ubc_cgroup::{CpuLimit, Rate};
use ubc_core::UNLIMITED;

use super::*;

fn read_text(text: &str) -> Result<Read, Malformed> {
    let document = Document::parse(text.as_bytes())?;
    Config::read(&document, PageSize::DEFAULT)
}

#[test]
fn each_kind_of_parameter_is_read_in_its_unit() {
    let read = read_text(
        "KMEMSIZE=\"14372700:14790164\"\nPRIVVMPAGES=\"256M:272M\"\nNUMPROC=240\n\
         VMGUARPAGES=\"33792:9223372036854775807\"\nDCACHE=\"1M\"\nIPTENTRIES=\"128\"\n\
         OOMGUARPAGES=\"26112:unlimited\"\nAVNUMPROC=\"180:180\"\nVM_OVERCOMMIT=\"1.5\"\n\
         MEMINFO=\"privvmpages:1\"\nCPUUNITS=\"1000\"\nCPULIMIT=\"25\"\nIOLIMIT=\"4194304\"\n\
         IOPSLIMIT=\"0\"\nIOPRIO=\"7\"\nCPUMASK=\"0-1\"\nHOSTNAME=\"a b\"\nDISKSPACE=\"2G:2.2G\"\n",
    )
    .unwrap();
    assert_eq!(read.notices, []);
    let config = read.config;
    let pair = |barrier, limit| Some(Limits { barrier, limit });
    assert_eq!(config.limits[Resource::KmemSize], pair(14_372_700, 14_790_164));
    assert_eq!(config.limits[Resource::PrivvmPages], pair(65_536, 69_632));
    assert_eq!(config.limits[Resource::NumProc], pair(240, 240));
    assert_eq!(config.limits[Resource::VmGuarPages], pair(33_792, UNLIMITED));
    assert_eq!(config.limits[Resource::DcacheSize], pair(1 << 20, 1 << 20));
    assert_eq!(config.limits[Resource::NumIptEnt], pair(128, 128));
    assert_eq!(config.avnumproc, Some(180));
    assert_eq!(config.overcommit, Some(Overcommit::parse("1.5").unwrap().into()));
    assert_eq!(config.text(Key::MemInfo).as_deref(), Some("privvmpages:1"));
    // Bytes here, where the command line has megabytes.
    assert_eq!(config.schedule.io_limit, Some(Rate::per_second(4 << 20)));
    assert_eq!(config.schedule.cpu_limit, Some(CpuLimit::Percent(25)));
    assert_eq!(config.knobs().count(), 6);
    assert_eq!(config.vswap(), None);
}

#[test]
fn a_wrong_value_names_line_and_key_and_what_would_do() {
    for (text, line, key, says) in [
        ("\n\nNUMFILE=\"5k\"\n", 3, "NUMFILE", "a count has no suffix"),
        ("NUMPROC=\"\"\n", 1, "NUMPROC", "accepted: a whole number"),
        ("NUMPROC=\"5:3\"\n", 1, "NUMPROC", "barrier 5 is above limit 3; accepted: barrier <="),
        ("PHYSPAGES=\"0:1.5\"\n", 1, "PHYSPAGES", "accepted: a whole number of pages"),
        ("numproc=\"5\"\n", 1, "numproc", "names are in capitals; accepted: NUMPROC"),
        ("CPUUNITS=\"7\"\n", 1, "CPUUNITS", "accepted: 8 to 500000"),
        ("IOLIMIT=\"9G\"\n", 1, "IOLIMIT", "accepted: bytes per second"),
        ("VM_OVERCOMMIT=\"x\"\n", 1, "VM_OVERCOMMIT", "accepted: an overcommit factor"),
        ("MEMINFO=\"x\"\n", 1, "MEMINFO", "accepted"),
        ("AVNUMPROC=\"1k\"\n", 1, "AVNUMPROC", "accepted"),
        ("NUMPROC=\"1 2\"\n", 1, "NUMPROC", "accepted"),
    ] {
        let error = read_text(text).unwrap_err();
        assert_eq!((error.line, error.key.as_str()), (line, key), "{error}");
        assert!(error.reason.contains(says), "{error}");
        assert_eq!(error.to_string().lines().count(), 1);
    }
    let error =
        Config::read(&Document::parse(b"NUMPROC=\"\xff\x1b\"\n").unwrap(), PageSize::DEFAULT);
    assert!(error.unwrap_err().to_string().is_ascii());
}

#[test]
fn a_barrier_above_its_limit_can_be_judged_but_not_applied() {
    let document = Document::parse(b"NUMFLOCK=\"5:3\"\n").unwrap();
    assert!(Config::read(&document, PageSize::DEFAULT).is_err());
    let read = Config::read_unordered(&document, PageSize::DEFAULT).unwrap();
    assert_eq!(read.config.limits[Resource::NumFlock], Some(Limits { barrier: 5, limit: 3 }));
}

#[test]
fn what_is_odd_is_told_by_line() {
    let text = "NUMPROC=1\nCPUUNITS=10\nCPUUNITS=20\nNUMPORC=5\nNUMPROC=2\nfi\n\
                KMEMSIZE=9223372036854775808\n";
    let read = read_text(text).unwrap();
    let told: Vec<String> = read.notices.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 3: CPUUNITS was in line 2 already; that one counts",
            "line 4: NUMPORC is unknown and ignored; did you mean NUMPROC?",
            "line 5: NUMPROC was in line 1 already; this one counts",
            "line 6: \"fi\" is no assignment and ignored",
            "line 7: KMEMSIZE: 9223372036854775808 is above the maximum and means unlimited",
        ]
    );
    assert_eq!(read.config.limits[Resource::NumProc], Some(Limits::both(2).unwrap()));
    assert_eq!(read.config.text(Key::Knob(Knob::CpuUnits)).as_deref(), Some("10"));
}

#[test]
fn the_global_file_fills_in_what_the_container_does_not_say() {
    let config = |text| read_text(text).unwrap().config;
    let merged = config("NUMPROC=10\nCPUUNITS=500\nVM_OVERCOMMIT=0\n")
        .or(config("NUMPROC=99\nNUMFILE=7\nCPUUNITS=99\nCPUS=2\nVM_OVERCOMMIT=2\n"));
    assert_eq!(merged, config("NUMPROC=10\nNUMFILE=7\nCPUUNITS=500\nCPUS=2\nVM_OVERCOMMIT=0\n"));
}

#[test]
fn an_update_leaves_what_means_the_same_as_it_is_written() {
    let text = "PHYSPAGES=\"0:256M\" # ram\nDCACHE='5'\nNUMPROC=240\n";
    let mut document = Document::parse(text.as_bytes()).unwrap();
    let mut change = read_text(text).unwrap().config;
    document.update(&change, PageSize::DEFAULT);
    assert_eq!(document.to_bytes(), text.as_bytes());
    change.limits[Resource::DcacheSize] = Some(Limits::both(6).unwrap());
    change.schedule.set(Knob::CpuLimit, "unlimited").unwrap();
    document.update(&change, PageSize::DEFAULT);
    assert_eq!(
        document.to_bytes(),
        b"PHYSPAGES=\"0:256M\" # ram\nDCACHE=\"6\"\nNUMPROC=240\nCPULIMIT=\"0\"\n"
    );
    document.forget(Key::Row(Resource::DcacheSize));
    assert_eq!(document.line_of(Key::Row(Resource::NumProc)), Some(3));
    assert!(document.get("DCACHE").is_none());
}

/// Any limits that can be written.
fn limits() -> impl Strategy<Value = Limits> {
    let value = prop_oneof![3 => 0..=UNLIMITED, 1 => Just(UNLIMITED), 1 => 0..100_u64];
    (value.clone(), value).prop_map(|(a, b)| Limits { barrier: a.min(b), limit: a.max(b) })
}

fn config() -> impl Strategy<Value = Config> {
    let rows = prop::collection::vec(prop::option::of(limits()), Resource::COUNT);
    let knobs = prop::collection::vec(
        prop::option::of(prop::sample::select(vec![
            "0",
            "7",
            "9",
            "25%",
            "1000m",
            "all",
            "0-2,5",
            "unlimited",
            "250000",
        ])),
        Knob::ALL.len(),
    );
    let numbers = (
        prop::option::of(0..=UNLIMITED),
        prop::option::of(0..3_000_000_000_u64),
        prop::option::of(0..1_000_u64),
    );
    (rows, knobs, numbers).prop_map(|(rows, knobs, (avnumproc, overcommit, meminfo))| {
        let mut config = Config {
            limits: PerResource::from_fn(|row| rows[row.index()]),
            avnumproc,
            overcommit: overcommit.map(|billionths| {
                let (whole, rest) = (billionths / 1_000_000_000, billionths % 1_000_000_000);
                Overcommit::parse(&format!("{whole}.{rest:09}")).unwrap().into()
            }),
            meminfo: meminfo
                .map(|pages| MemorySize::parse(&format!("pages:{pages}")).ok().flatten().into()),
            ..Config::default()
        };
        for (knob, value) in Knob::ALL.into_iter().zip(knobs) {
            // What a knob does not take it does not have.
            drop(value.map(|value| config.schedule.set(knob, value)));
        }
        config
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(config in config(), page in 0_u32..17) {
        let page = PageSize::new(1 << page).unwrap();
        let mut document = Document::default();
        document.update(&config, page);
        let document = Document::parse(&document.to_bytes()).unwrap();
        let read = Config::read(&document, page).unwrap();
        prop_assert_eq!(read.notices, []);
        prop_assert_eq!(read.config, config);
    }

    #[test]
    fn a_change_says_what_it_says_and_keeps_the_rest(before in config(), change in config()) {
        let page = PageSize::DEFAULT;
        let mut document = Document::default();
        document.update(&before, page);
        document.set("HOSTNAME", b"web");
        document.update(&change, page);
        let read = Config::read(&document, page).unwrap();
        prop_assert_eq!(document.get("HOSTNAME"), Some(&b"web"[..]));
        prop_assert_eq!(read.config, change.or(before));
    }
}
