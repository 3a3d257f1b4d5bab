use proptest::prelude::*;

use super::*;
use crate::UNLIMITED;
use crate::profiles::{Profile, VE_BASIC, VE_LIGHT, VSWAP};
use Level::{Error, Recommendation, Warning};

fn sample(profile: Profile) -> Config {
    Config { avnumproc: Some(profile.avnumproc), ..Config::new(profile.limits()) }
}

/// ve-basic with one pair changed.
fn basic_with(resource: Resource, barrier: u64, limit: u64) -> Config {
    let mut config = sample(VE_BASIC);
    config.limits[resource] = Some(Limits { barrier, limit });
    config
}

fn broken(config: &Config) -> Vec<(u8, Level, Resource)> {
    check(config).iter().map(|f| (f.rule.number(), f.level, f.resources[0])).collect()
}

#[test]
fn openvz_own_samples_obey_every_rule() {
    assert_eq!(broken(&sample(VE_BASIC)), []);
    assert_eq!(broken(&sample(VE_LIGHT)), []);
    for vswap in VSWAP {
        let mut config = Config::new(vswap.vswap(PageSize::DEFAULT).limits());
        config.host = Some(HostMemory { ram: vswap.ram, swap: vswap.swap });
        assert_eq!(broken(&config), [], "{}: exactly the host's memory fits", vswap.name);
    }
}

#[test]
fn a_gap_where_barrier_must_be_the_limit_is_found_for_each_resource() {
    use Resource::{
        NumFile, NumIptEnt, NumOtherSock, NumProc, NumPty, NumSigInfo, NumTcpSock, ShmPages,
    };
    for resource in
        [NumProc, NumTcpSock, NumOtherSock, ShmPages, NumFile, NumPty, NumSigInfo, NumIptEnt]
    {
        let pair = sample(VE_BASIC).limits[resource].unwrap();
        let config = basic_with(resource, pair.barrier, pair.limit + 1);
        assert_eq!(broken(&config), [(1, Error, resource)]);
    }
}

#[test]
fn a_barrier_above_its_limit_is_found_once_and_not_as_a_gap_too() {
    use Resource::{
        DcacheSize, DgramRcvBuf, KmemSize, LockedPages, NumFlock, OtherSockBuf, PrivvmPages,
        TcpRcvBuf, TcpSndBuf,
    };
    for resource in [
        KmemSize,
        TcpSndBuf,
        TcpRcvBuf,
        OtherSockBuf,
        DgramRcvBuf,
        PrivvmPages,
        LockedPages,
        NumFlock,
        DcacheSize,
    ] {
        let limit = sample(VE_BASIC).limits[resource].unwrap().limit;
        assert_eq!(broken(&basic_with(resource, limit, limit + 1_000_000)), [], "{resource}");
        let config = basic_with(resource, limit + 1, limit);
        assert_eq!(broken(&config), [(2, Error, resource)]);
    }
}

/// One changed pair, and the rule it breaks, at the last value that breaks it
/// and the first that does not.
#[test]
fn every_rule_breaks_just_below_equality() {
    use Resource::{
        DcacheSize, DgramRcvBuf, KmemSize, NumFile, NumPty, OtherSockBuf, PrivvmPages, TcpRcvBuf,
        TcpSndBuf, VmGuarPages,
    };
    let gap = 2560 * 360;
    // 384 x 9312; the sample itself is above it.
    let names = 3_575_808;
    // 40960 x 180 + 3624960
    let kmem = 10_997_760;
    // Resource to change, broken pair, accepted pair, finding.
    for (resource, (barrier, limit), accepted, rule, level) in [
        (DcacheSize, (0, names - 1), (0, names), 4, Warning),
        (KmemSize, (kmem - 1, kmem), (kmem, kmem), 5, Error),
        (PrivvmPages, (33_791, 69_632), (33_792, 69_632), 6, Warning),
        (VmGuarPages, (65_537, UNLIMITED), (65_536, UNLIMITED), 6, Warning),
        (TcpSndBuf, (100_000, 99_999 + gap), (100_000, 100_000 + gap), 7, Error),
        (OtherSockBuf, (200_000, 199_999 + gap), (200_000, 200_000 + gap), 8, Error),
        (TcpRcvBuf, (100_000, 99_999 + gap), (100_000, 100_000 + gap), 9, Warning),
        (TcpRcvBuf, (65_535, 2_703_360), (65_536, 2_703_360), 10, Warning),
        (TcpSndBuf, (65_535, 2_703_360), (65_536, 2_703_360), 10, Warning),
        (DgramRcvBuf, (132_095, 132_096), (132_096, 132_096), 11, Recommendation),
        (OtherSockBuf, (132_095, 2_097_152), (132_096, 2_097_152), 11, Recommendation),
        (NumFile, (5759, 5759), (5760, 5760), 12, Warning),
        // 360 + 360 + 8593 = 9313 files for sockets and terminals.
        (NumPty, (8593, 8593), (8592, 8592), 12, Warning),
    ] {
        let first = if rule == 6 {
            PrivvmPages
        } else if rule == 12 {
            NumFile
        } else {
            resource
        };
        assert_eq!(broken(&basic_with(resource, barrier, limit)), [(rule, level, first)]);
        assert_eq!(broken(&basic_with(resource, accepted.0, accepted.1)), [], "{resource}");
    }
}

#[test]
fn a_datagram_buffer_below_the_minimum_is_warned_about_once() {
    for resource in [Resource::DgramRcvBuf, Resource::OtherSockBuf] {
        let found = |barrier| broken(&basic_with(resource, barrier, 2_097_152));
        assert_eq!(found(32_767), [(11, Warning, resource)]);
        assert_eq!(found(32_768), [(11, Recommendation, resource)]);
    }
}

#[test]
fn a_limit_on_a_promise_is_found() {
    for resource in [Resource::VmGuarPages, Resource::OomGuarPages] {
        assert_eq!(broken(&basic_with(resource, 100, 1 << 40)), [(3, Error, resource)]);
    }
    let physpages = Resource::PhysPages;
    assert_eq!(broken(&basic_with(physpages, 1, UNLIMITED)), [(3, Error, physpages)]);
    // 2^31-1 is not VSwap, but not "unlimited" on 64 bits either.
    assert_eq!(broken(&basic_with(physpages, 0, 2_147_483_647)), [(3, Error, physpages)]);
}

#[test]
fn expected_processes_default_to_half_of_numproc() {
    let mut config = sample(VE_BASIC);
    config.avnumproc = None;
    config.limits[Resource::KmemSize] =
        Some(Limits { barrier: 40_960 * 120 + 3_624_960, limit: 14_790_164 });
    assert_eq!(broken(&config), [], "120 of 240 processes fit exactly");
    config.avnumproc = Some(121);
    assert_eq!(broken(&config), [(5, Error, Resource::KmemSize)]);
}

#[test]
fn one_container_may_take_sixty_percent_of_the_host_and_no_more() {
    let mut config = sample(VE_BASIC); // privvmpages limit: 69632 pages = 285212672 bytes
    config.limits[Resource::PrivvmPages] = Some(Limits { barrier: 60_000, limit: 60_000 });
    config.host = Some(HostMemory { ram: 100_000 * 4096, swap: 0 });
    assert_eq!(broken(&config), []);
    config.host = Some(HostMemory { ram: 100_000 * 4096 - 1, swap: 0 });
    assert_eq!(broken(&config), [(15, Warning, Resource::PrivvmPages)]);
}

#[test]
fn vswap_is_judged_by_its_own_rules_only() {
    let (ram, swap) = (Resource::PhysPages, Resource::SwapPages);
    // Breaks rule 1, but physpages has a limit.
    let mut config = basic_with(ram, 1, 65_536);
    config.limits[swap] = Some(Limits { barrier: 2, limit: 131_072 });
    config.limits[Resource::NumProc] = Some(Limits { barrier: 1, limit: 2 });
    assert_eq!(broken(&config), [(13, Error, ram), (13, Error, swap)]);

    for resource in [ram, swap] {
        config.limits[resource].as_mut().unwrap().barrier = 0;
    }
    config.host = Some(HostMemory { ram: 65_536 * 4096 - 1, swap: 131_072 * 4096 - 1 });
    assert_eq!(broken(&config), [(14, Warning, ram), (14, Warning, swap)]);
    config.limits[swap] = Some(Limits { barrier: 0, limit: UNLIMITED });
    config.page = PageSize::new(PageSize::MAX).unwrap();
    assert_eq!(broken(&config), [(14, Warning, ram), (14, Warning, swap)]);
}

#[test]
fn unlimited_is_never_too_small_and_unset_is_not_judged() {
    let unlimited = PerResource::from_fn(|resource| {
        let barrier = if resource == Resource::PhysPages { 0 } else { UNLIMITED };
        Some(Limits { barrier, limit: UNLIMITED })
    });
    assert_eq!(broken(&Config::new(unlimited)), []);
    assert_eq!(broken(&Config::new(PerResource::default())), []);
    for resource in Resource::ALL {
        let mut config = Config::new(PerResource::default());
        config.limits[resource] = sample(VE_BASIC).limits[resource];
        assert_eq!(broken(&config), [], "{resource} alone contradicts nothing");
    }
}

#[test]
fn a_finding_reads_as_one_line_with_the_numbers_and_the_reason() {
    let findings = check(&basic_with(Resource::PrivvmPages, 100, 69_632));
    assert_eq!(
        findings[0].to_string(),
        "warning: privvmpages: barrier 100 is below vmguarpages barrier 33792 (rule 6: memory \
         is refused although it is guaranteed: the guarantee does not work)"
    );
    assert_eq!(findings[0].resources, [Resource::PrivvmPages, Resource::VmGuarPages]);
}

#[test]
fn rules_keep_their_published_numbers() {
    assert!(Rule::ALL.iter().map(|rule| rule.number()).eq(1..=15));
}

#[test]
fn missing_resources_are_listed_by_what_the_tools_insist_on() {
    assert_eq!(missing(&VE_BASIC.limits()), []);
    assert_eq!(missing(&PerResource::default()).len(), 20);
    let mut vswap = PerResource::default();
    vswap[Resource::PhysPages] = Some(Limits { barrier: 0, limit: 65_536 });
    assert_eq!(missing(&vswap), [Resource::SwapPages]);
}

proptest! {
    #[test]
    fn no_configuration_makes_checking_panic_or_a_message_span_lines(
        pairs in prop::collection::vec(prop::option::of((any::<u64>(), any::<u64>())), 21),
        avnumproc in any::<Option<u64>>(),
        shift in 0..=30_u32,
        ram in any::<u64>(),
        swap in any::<u64>(),
    ) {
        let limits = PerResource::from_fn(|resource| {
            pairs[resource.index()].map(|(barrier, limit)| Limits { barrier, limit })
        });
        let page = PageSize::new(1 << shift).unwrap();
        let config = Config { limits, avnumproc, page, host: Some(HostMemory { ram, swap }) };
        for finding in check(&config) {
            prop_assert!(!finding.to_string().contains('\n'));
            prop_assert!(!finding.resources.is_empty());
        }
    }
}
