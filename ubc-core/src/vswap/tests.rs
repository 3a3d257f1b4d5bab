use proptest::prelude::*;

use super::*;

fn factor(text: &str) -> Option<Overcommit> {
    Overcommit::parse(text).unwrap()
}

#[test]
fn ram_and_swap_imply_the_limits_vzctl_sets() {
    let (ram, swap) = (65_536, 131_072); // the default sample: 256M and 512M
    let implied = Vswap { ram, swap, overcommit: factor("1.5") }.limits();
    let pairs: Vec<(Resource, u64, u64)> = implied
        .iter()
        .filter_map(|(resource, limits)| limits.map(|l| (resource, l.barrier, l.limit)))
        .collect();
    assert_eq!(
        pairs,
        [
            (Resource::LockedPages, ram, ram),
            (Resource::PrivvmPages, 294_912, 294_912),
            (Resource::PhysPages, 0, ram),
            (Resource::VmGuarPages, ram + swap, UNLIMITED),
            (Resource::OomGuarPages, ram, UNLIMITED),
            (Resource::SwapPages, 0, swap),
        ]
    );
    assert!(Vswap::recognise(&implied));
}

#[test]
fn without_overcommit_address_space_is_unlimited_not_zero() {
    for overcommit in [None, factor("0"), factor("0.000"), Overcommit::whole(0).unwrap()] {
        let implied = Vswap { ram: 10, swap: 0, overcommit }.limits();
        assert_eq!(implied[Resource::PrivvmPages], Some(Limits::UNLIMITED));
    }
}

#[test]
fn both_forms_of_unlimited_are_not_vswap() {
    let physpages = |limits: Option<Limits>| {
        PerResource::from_fn(|r| if r == Resource::PhysPages { limits } else { None })
    };
    let limit = |limit| physpages(Some(Limits { barrier: 0, limit }));
    assert!(!Vswap::recognise(&physpages(None)));
    assert!(!Vswap::recognise(&limit(UNLIMITED)));
    assert!(!Vswap::recognise(&limit(2_147_483_647)));
    assert!(Vswap::recognise(&limit(2_147_483_646)));
    assert!(Vswap::recognise(&limit(0)));
}

#[test]
fn factors_are_exact_decimals() {
    // 0.1 is not a binary fraction: a float would give 2 pages of 29.99..9.
    let implied = Vswap { ram: 20, swap: 10, overcommit: factor("0.1") }.limits();
    assert_eq!(implied[Resource::PrivvmPages], Some(Limits { barrier: 3, limit: 3 }));
    for (text, shown) in [("1.50", "1.5"), ("2", "2"), ("0.000000001", "0.000000001")] {
        assert_eq!(factor(text).unwrap().to_string(), shown);
    }
    assert_eq!(Overcommit::whole(3), Overcommit::parse("3.000"));
}

#[test]
fn what_a_float_parser_would_take_is_refused() {
    for text in [
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "inf",
        "nan",
        "0x1",
        " 1",
        "1 ",
        "1,5",
        "1.2.3",
        "1.0000000001",
        "1000000001",
        "1000000000.1",
        "99999999999999999999",
    ] {
        assert_eq!(Overcommit::parse(text), Err(InvalidOvercommit), "{text:?}");
    }
    assert_eq!(Overcommit::whole(1_000_000_001), Err(InvalidOvercommit));
}

proptest! {
    #[test]
    fn implied_limits_are_always_settable_and_never_wrap(
        ram in any::<u64>(), swap in any::<u64>(), billionths in 1..=1_000_000_000_000_000_000_u64,
    ) {
        let overcommit = Overcommit { billionths };
        let implied = Vswap { ram, swap, overcommit: Some(overcommit) }.limits();
        for (resource, limits) in implied.iter() {
            let Some(limits) = limits else { continue };
            prop_assert_eq!(Limits::ordered(limits.barrier, limits.limit), Ok(*limits));
            if resource == Resource::VmGuarPages {
                prop_assert!(limits.barrier >= ram.max(swap).min(UNLIMITED));
            }
        }
        let shown = overcommit.to_string();
        prop_assert_eq!(Overcommit::parse(&shown), Ok(Some(overcommit)));
    }
}
