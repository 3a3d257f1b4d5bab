use super::*;

#[test]
fn a_large_machine_has_places_for_its_containers_and_a_small_one_for_some() {
    assert_eq!(Sizes::for_memory(1 << 30), Sizes::default());
    let large = Sizes::for_memory(64 << 30);
    assert_eq!((large.containers, large.cgroups), (16384, 4 * 65536));
    assert_eq!(Sizes::for_memory(u64::MAX).containers, 65536);
}
