use super::*;

fn suggested(name: &str) -> Vec<&'static str> {
    resource_by_config_name(name).unwrap_err().nearest
}

#[test]
fn every_printed_name_and_both_old_ones_are_known() {
    for resource in Resource::ALL {
        assert_eq!(resource_by_name(resource.name()), Ok(resource));
        let upper = resource.name().to_ascii_uppercase();
        assert_eq!(resource_by_config_name(&upper), Ok(resource));
        assert!(resource_by_name(&upper).is_err(), "{upper} is a configuration name");
    }
    assert_eq!(resource_by_config_name("DCACHE"), Ok(Resource::DcacheSize));
    assert_eq!(resource_by_config_name("IPTENTRIES"), Ok(Resource::NumIptEnt));
    assert_eq!(resource_by_name("dcache"), Ok(Resource::DcacheSize));
}

#[test]
fn a_slip_of_the_fingers_is_answered_with_the_right_name() {
    for (given, meant) in [
        ("numfiles", "numfile"),
        ("numporc", "numproc"),
        ("kmemsise", "kmemsize"),
        ("tcpsendbuf", "tcpsndbuf"),
        ("privvmpage", "privvmpages"),
        ("PHYSPAGE", "physpages"),
        ("NUMFILE ", "numfile"),
        ("dcach", "dcachesize"),
        ("iptentry", "numiptent"),
    ] {
        assert_eq!(suggested(given).first(), Some(&meant), "{given}");
    }
}

#[test]
fn part_of_a_name_is_answered_with_the_whole() {
    assert_eq!(suggested("proc"), ["numproc"]);
    assert_eq!(suggested("guarpages"), ["vmguarpages", "oomguarpages"]);
}

#[test]
fn upper_case_on_the_command_line_is_answered_with_lower_case() {
    let error = resource_by_name("NUMPROC").unwrap_err();
    assert_eq!(error.to_string(), "unknown resource \"NUMPROC\"; did you mean numproc?");
}

#[test]
fn nonsense_is_answered_with_all_names_on_one_short_line() {
    for given in ["", "x", "cpuunits", &"numproc".repeat(100_000), "a\nb\u{0}\u{e9}"] {
        let error = resource_by_name(given).unwrap_err();
        assert_eq!(error.nearest, Vec::<&str>::new(), "{given:.20}");
        let message = error.to_string();
        assert!(message.ends_with("numfile, numiptent, swappages"), "{message}");
        assert!(message.len() < 400 && !message.contains('\n'), "{message}");
    }
}

#[test]
fn a_dummy_is_not_a_resource() {
    assert!(resource_by_name("dummy").is_err());
}
