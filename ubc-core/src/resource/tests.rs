use alloc::vec::Vec;

use super::*;

#[test]
fn slots_keep_openvz_order_with_dummies_at_4_and_20_to_22() {
    let dummies: Vec<usize> =
        SLOTS.iter().enumerate().filter(|(_, slot)| slot.is_none()).map(|(i, _)| i).collect();
    assert_eq!(dummies, [4, 20, 21, 22]);
    assert_eq!(SLOTS[0], Some(Resource::KmemSize));
    assert_eq!(SLOTS[19], Some(Resource::NumFile));
    assert_eq!(SLOTS[23], Some(Resource::NumIptEnt));
    assert_eq!(SLOTS[24], Some(Resource::SwapPages));
}

#[test]
fn a_table_never_mixes_up_two_resources() {
    let table = PerResource::from_fn(Resource::slot);
    for resource in Resource::ALL {
        assert_eq!(table[resource], resource.slot());
        assert_eq!(SLOTS[resource.slot()], Some(resource));
        assert_eq!(Resource::from_name(resource.name()), Some(resource));
        assert!(resource.name().len() <= 12, "{resource} is wider than its column");
    }
}

#[test]
fn classes_match_the_published_groups() {
    let count = |class| Resource::ALL.iter().filter(|r| r.class() == class).count();
    assert_eq!(
        (count(Class::Primary), count(Class::Secondary), count(Class::Auxiliary)),
        (4, 7, 10)
    );
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;

    #[test]
    fn a_table_with_a_missing_or_doubled_resource_is_refused() {
        let table = PerResource::from_fn(Resource::slot);
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<PerResource<usize>>(&text).unwrap(), table);

        let missing = text.replace(",\"swappages\":24", "");
        let error = serde_json::from_str::<PerResource<usize>>(&missing).unwrap_err();
        assert!(error.to_string().contains("swappages"), "{error}");
        let doubled = text.replace("\"swappages\":24", "\"numfile\":24");
        let error = serde_json::from_str::<PerResource<usize>>(&doubled).unwrap_err();
        assert!(error.to_string().contains("numfile"), "{error}");
    }
}
