use alloc::string::{String, ToString};
use alloc::vec;

use super::*;
use crate::{Limits, Observation, Severity, UNLIMITED};

const RES: Resource = Resource::NumProc;

fn id(text: &str) -> UbId {
    text.parse().unwrap()
}

fn names(list: &[Beancounter]) -> Vec<String> {
    list.iter().map(|beancounter| beancounter.id().to_string()).collect()
}

#[test]
fn the_host_is_there_from_the_beginning_without_limits_and_stays() {
    let registry = Registry::new();
    for (_, row) in registry.host().reading().rows.iter() {
        assert!(row.limits().is_unlimited());
    }
    assert_eq!(registry.remove(UbId::HOST), Err(RegistryError::Host));
    assert_eq!(registry.create(UbId::HOST).unwrap_err(), RegistryError::InUse(UbId::HOST));
}

#[test]
fn a_new_container_has_the_defaults_but_a_sub_beancounter_has_no_limits() {
    let registry = Registry::with_defaults(Defaults::for_memory(1000));
    let container = registry.create(id("101")).unwrap();
    assert_eq!(container.limits(Resource::VmGuarPages).barrier, 0);
    assert_eq!(container.limits(Resource::OomGuarPages).barrier, 750);
    let sub = registry.create(id("101.1")).unwrap();
    assert_eq!(sub.limits(Resource::VmGuarPages).barrier, UNLIMITED);
    assert!(sub.parent().unwrap().is(&container));
}

/// Trap 26: only setluid creates.
#[test]
fn looking_an_id_up_does_not_create_it() {
    let registry = Registry::new();
    assert!(registry.get(id("101")).is_none());
    assert_eq!(registry.remove(id("101")), Err(RegistryError::Unknown(id("101"))));
    assert_eq!(names(&registry.list()), ["0"]);
}

#[test]
fn a_strict_create_does_not_hand_out_somebody_elses_container() {
    let registry = Registry::new();
    let container = registry.create(id("101")).unwrap();
    assert_eq!(registry.create(id("101")).unwrap_err(), RegistryError::InUse(id("101")));
    assert!(registry.get_or_create(id("101")).unwrap().is(&container));
}

#[test]
fn the_list_is_newest_first_with_the_host_last_and_no_subs() {
    let registry = Registry::new();
    for text in ["7", "103", "101", "101.5", "101.2"] {
        registry.create(id(text)).unwrap();
    }
    assert_eq!(names(&registry.list()), ["101", "103", "7", "0"]);
    assert_eq!(names(&registry.children(id("101"))), ["101.2", "101.5"]);
    assert!(registry.children(id("103")).is_empty());
}

#[test]
fn a_container_nobody_uses_is_gone_at_once() {
    let registry = Registry::new();
    registry.create(id("101")).unwrap();
    assert_eq!(registry.remove(id("101")), Ok(Removal::Gone));
    assert!(registry.get(id("101")).is_none());
}

/// Trap 27.
#[test]
fn an_id_used_again_while_the_old_one_lives_finds_the_same_counters() {
    let registry = Registry::new();
    let old = registry.create(id("101")).unwrap();
    old.set_limits(RES, Limits::both(2).unwrap()).unwrap();
    let charge = old.charge(RES, 2, Severity::Hard).unwrap();
    assert!(old.charge(RES, 1, Severity::Hard).is_err());
    drop(old);
    let removal = registry.remove(id("101")).unwrap();
    assert_eq!(removal, Removal::Leaving { charged: vec![(RES, 2)] });
    assert_eq!(registry.create(id("101")).unwrap_err(), RegistryError::Leaving(id("101")));

    let again = registry.get_or_create(id("101")).unwrap();
    let row = again.row(RES);
    assert_eq!((row.held, row.maxheld, row.limit, row.failcnt), (2, 2, 2, 1));
    drop(charge);
    drop(again);
    assert!(registry.get(id("101")).is_some(), "it is in use again");
}

#[test]
fn a_removed_container_disappears_with_its_last_charge() {
    let registry = Registry::new();
    let charge = registry.create(id("101")).unwrap().charge(RES, 1, Severity::Hard).unwrap();
    assert!(matches!(registry.remove(id("101")), Ok(Removal::Leaving { .. })));
    assert_eq!(names(&registry.list()), ["101", "0"], "it shows what it holds");
    assert_eq!(names(&registry.leaving()), ["101"]);
    drop(charge);
    assert_eq!(names(&registry.list()), ["0"]);
    assert!(registry.leaving().is_empty());
    assert!(registry.get(id("101")).is_none());
    let fresh = registry.create(id("101")).unwrap();
    assert_eq!(fresh.row(RES).maxheld, 0, "these are new counters");
}

#[test]
fn units_in_a_table_keep_a_container_without_any_handle() {
    let registry = Registry::new();
    registry.create(id("101")).unwrap().charge_raw(RES, 3, Severity::Hard).unwrap();
    assert!(matches!(registry.remove(id("101")), Ok(Removal::Leaving { .. })));
    registry.get(id("101")).unwrap().uncharge(RES, 3).unwrap();
    assert!(registry.get(id("101")).is_none());
}

#[test]
fn a_handle_keeps_a_removed_container_so_no_charge_goes_unseen() {
    let registry = Registry::new();
    let handle = registry.create(id("101")).unwrap();
    assert_eq!(registry.remove(id("101")), Ok(Removal::Leaving { charged: vec![] }));
    assert!(registry.get_or_create(id("101")).unwrap().is(&handle));
}

#[test]
fn observed_use_keeps_nothing_alive() {
    let registry = Registry::new();
    let container = registry.create(id("101")).unwrap();
    container.observe(RES, Observation::held(5)).unwrap();
    drop(container);
    assert_eq!(registry.remove(id("101")), Ok(Removal::Gone));
}

#[test]
fn a_parent_stays_until_its_children_are_gone() {
    let registry = Registry::new();
    assert_eq!(registry.create(id("101.1")).unwrap_err(), RegistryError::NoParent(id("101.1")));
    registry.create(id("101")).unwrap();
    registry.create(id("101.1")).unwrap();
    assert_eq!(registry.remove(id("101")), Ok(Removal::Leaving { charged: vec![] }));
    assert!(registry.get(id("101")).is_some());
    assert_eq!(registry.remove(id("101.1")), Ok(Removal::Gone));
    assert!(registry.get(id("101")).is_none());
}

#[test]
fn threads_that_ask_for_one_id_get_one_beancounter() {
    let registry = Registry::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let container = registry.get_or_create(id("101")).unwrap();
                    let charge = container.charge(RES, 1, Severity::Hard).unwrap();
                    assert!(registry.get(id("101")).unwrap().is(&container));
                    drop(container);
                    registry.remove(id("101")).unwrap();
                    assert!(registry.get(id("101")).unwrap().is(charge.owner()));
                }
            });
        }
    });
    assert_eq!(names(&registry.list()), ["0"]);
}
