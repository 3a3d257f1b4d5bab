use super::*;

#[test]
fn a_new_container_is_not_promised_memory_nobody_checked() {
    let defaults = Defaults::new();
    for (resource, limits) in defaults.limits().iter() {
        let barrier = if resource == Resource::VmGuarPages { 0 } else { UNLIMITED };
        assert_eq!(*limits, Limits { barrier, limit: UNLIMITED }, "{resource}");
    }
}

#[test]
fn three_quarters_of_the_memory_survive_an_oom_kill() {
    let oom = |pages| Defaults::for_memory(pages).limits()[Resource::OomGuarPages];
    assert_eq!(oom(1000), Limits { barrier: 750, limit: UNLIMITED });
    assert_eq!(oom(7).barrier, 5);
    assert_eq!(oom(0).barrier, 0);
    assert_eq!(oom(u64::MAX).barrier, UNLIMITED);
}

#[test]
fn a_table_with_an_invalid_pair_is_refused_by_name() {
    let mut table = PerResource::<Limits>::default();
    table[Resource::NumPty].barrier = UNLIMITED + 1;
    let error = Defaults::from_table(table).unwrap_err();
    assert_eq!(error.resource, Resource::NumPty);
}
