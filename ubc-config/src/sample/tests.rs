use ubc_core::rules::{Level, check};
use ubc_core::{Limits, PageSize, UNLIMITED};

use super::*;
use crate::Config;

fn config(name: &str) -> Config {
    let document = document(name).unwrap();
    // Through the text, as somebody reads it who found it in a directory.
    let document = Document::parse(&document.to_bytes()).unwrap();
    let read = Config::read(&document, PageSize::DEFAULT).unwrap();
    assert_eq!(read.notices, [], "{name}");
    read.config
}

/// Every number of the published samples, by name.
#[test]
fn a_sample_with_another_number_than_the_published_one_is_noticed() {
    #[rustfmt::skip]
    let published = [
        ("KMEMSIZE", "14372700:14790164", "1740800:1847296"),
        ("LOCKEDPAGES", "2048:2048", "4:4"),
        ("PRIVVMPAGES", "65536:69632", "7680:8448"),
        ("SHMPAGES", "21504:21504", "1152:1152"),
        ("NUMPROC", "240:240", "40:40"),
        ("PHYSPAGES", "0:unlimited", "0:unlimited"),
        ("VMGUARPAGES", "33792:unlimited", "1725:unlimited"),
        ("OOMGUARPAGES", "26112:unlimited", "1725:unlimited"),
        ("NUMTCPSOCK", "360:360", "40:40"),
        ("NUMFLOCK", "188:206", "50:60"),
        ("NUMPTY", "16:16", "4:4"),
        ("NUMSIGINFO", "256:256", "256:256"),
        ("TCPSNDBUF", "1720320:2703360", "159744:262144"),
        ("TCPRCVBUF", "1720320:2703360", "159744:262144"),
        ("OTHERSOCKBUF", "1126080:2097152", "135168:237568"),
        ("DGRAMRCVBUF", "262144:262144", "135168:196608"),
        ("NUMOTHERSOCK", "360:360", "40:40"),
        ("DCACHESIZE", "3409920:3624960", "196608:202752"),
        ("NUMFILE", "9312:9312", "512:512"),
        ("AVNUMPROC", "180:180", "15:15"),
        ("NUMIPTENT", "128:128", "16:16"),
        ("DISKSPACE", "2G:2.2G", "1G:1.1G"),
        ("DISKINODES", "131072:144179", "65536:72090"),
        ("QUOTATIME", "0", "0"),
        ("CPUUNITS", "1000", "250"),
    ];
    for (column, name) in ["basic", "light"].into_iter().enumerate() {
        let document = document(name).unwrap();
        for (key, basic, light) in published {
            let value = String::from_utf8(document.get(key).unwrap().to_vec()).unwrap();
            let expected = [basic, light][column];
            // One number is both.
            let (barrier, limit) = expected.split_once(':').unwrap_or((expected, expected));
            let shown = value.split_once(':').unwrap_or((&value, &value));
            assert_eq!(shown, (barrier, limit), "{name} {key}");
        }
        assert_eq!(document.assignments().count(), published.len(), "{name}");
    }
    for (name, ram, swap) in [
        ("vswap-256m", "0:256M", "0:512M"),
        ("vswap-512m", "0:512M", "0:1G"),
        ("vswap-1024m", "0:1G", "0:2G"),
        ("vswap-1g", "0:1G", "0:2G"),
        ("vswap-2g", "0:2G", "0:4G"),
        ("vswap-4g", "0:4G", "0:8G"),
    ] {
        let document = document(name).unwrap();
        let value = |key| document.get(key).unwrap();
        assert_eq!((value("PHYSPAGES"), value("SWAPPAGES")), (ram.as_bytes(), swap.as_bytes()));
        assert_eq!(value("DISKSPACE"), b"2G:2.2G");
    }
}

#[test]
fn every_sample_is_consistent_and_complete() {
    for name in names() {
        let config = config(name);
        let findings = check(&config.to_check(PageSize::DEFAULT, None));
        assert!(findings.iter().all(|one| one.level < Level::Warning), "{name}: {findings:?}");
        assert_eq!(ubc_core::rules::missing(&config.limits), [], "{name}");
        assert_eq!(config.vswap().is_some(), name.starts_with("vswap"), "{name}");
    }
    assert_eq!(document("nope"), None);
}

#[test]
fn ram_and_swap_imply_the_other_rows_of_memory() {
    let limits = config("vswap-256m").effective();
    let pair = |barrier, limit| Some(Limits { barrier, limit });
    assert_eq!(limits[Resource::PhysPages], pair(0, 65_536));
    assert_eq!(limits[Resource::SwapPages], pair(0, 131_072));
    assert_eq!(limits[Resource::LockedPages], pair(65_536, 65_536));
    assert_eq!(limits[Resource::OomGuarPages], pair(65_536, UNLIMITED));
    assert_eq!(limits[Resource::VmGuarPages], pair(196_608, UNLIMITED));
    assert_eq!(limits[Resource::PrivvmPages], pair(UNLIMITED, UNLIMITED));
    assert_eq!(limits[Resource::NumProc], None);
}
