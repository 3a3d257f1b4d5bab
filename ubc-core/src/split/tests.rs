use proptest::prelude::*;

use super::*;
use crate::rules::{Config, Level as Severity, check};

const GIB: u64 = 1 << 30;

fn host(ram: u64, swap: u64) -> Host {
    let memory = Memory { ram, swap, low: ram };
    Host { memory, threads: 32_000, page: PageSize::DEFAULT }
}

/// Worked out by hand from the published constants: 4 GiB of each, 10
/// containers, plenty.
#[test]
fn a_host_of_plenty_is_divided_by_the_first_table() {
    let one = split(&host(4 * GIB, 4 * GIB), 10).unwrap();
    assert_eq!((one.shortage, one.avnumproc), (0, 1048));
    let limits = |row: Resource| {
        let Limits { barrier, limit } = one.limits[row].unwrap();
        (barrier, limit)
    };
    // 0.4 x 4 GiB / 10, half of it; a tenth more.
    assert_eq!(limits(Resource::KmemSize), (85_899_345, 94_489_279));
    // Twice the average: 16000 / 10 is below that.
    assert_eq!(limits(Resource::NumProc), (2096, 2096));
    assert_eq!(limits(Resource::NumFile), (33_536, 33_536));
    assert_eq!(limits(Resource::NumFlock), (1000, 1100));
    assert_eq!(limits(Resource::NumPty), (209, 209));
    assert_eq!(limits(Resource::NumIptEnt), (200, 200));
    assert_eq!(limits(Resource::DcacheSize), (18_754_112, 19_316_736));
    // A third of the other half, 4096 less for each process.
    assert_eq!(limits(Resource::TcpSndBuf), (20_047_899, 28_633_115));
    assert_eq!(limits(Resource::OtherSockBuf), (10_023_949, 18_609_165));
    assert_eq!(limits(Resource::DgramRcvBuf), (10_023_949, 10_023_949));
    assert_eq!(limits(Resource::NumSigInfo), (1024, 1024));
    assert_eq!(limits(Resource::PhysPages), (0, UNLIMITED));
    // 60 % of RAM.
    assert_eq!(limits(Resource::PrivvmPages), (629_145, 692_059));
    assert_eq!(limits(Resource::VmGuarPages).1, UNLIMITED);
    assert_eq!(one.limits[Resource::SwapPages], None);
}

#[test]
fn the_more_containers_the_greater_the_shortage() {
    let host = host(4 * GIB, 4 * GIB);
    let shortage = |number| split(&host, number).map(|one| one.shortage);
    let levels: Vec<u8> = [1, 50, 150, 400].into_iter().map(|n| shortage(n).unwrap()).collect();
    assert!(levels.is_sorted(), "{levels:?}");
    assert_eq!(levels[0], 0);
    assert!(levels[3] > 0, "{levels:?}");
    let Err(SplitError::TooMany { most }) = split(&host, 1_000_000) else {
        panic!("a million containers fit 4 GiB");
    };
    assert!((500..5000).contains(&most), "{most}");
    assert_eq!(split(&host, 0), Err(SplitError::TooMany { most }));
}

#[test]
fn a_host_too_small_for_any_is_refused() {
    assert_eq!(split(&host(50 << 20, 0), 1), Err(SplitError::TooSmall));
    assert_eq!(split(&host(0, 0), 1), Err(SplitError::TooSmall));
}

proptest! {
    #[test]
    fn what_is_shared_out_obeys_the_rules_and_no_more_than_there_is(
        ram in 128_u64 << 20..1 << 42,
        swap in 0_u64..1 << 42,
        number in 1_u64..2000,
        page in 12_u32..17,
    ) {
        let mut host = host(ram, swap);
        host.page = PageSize::new(1 << page).unwrap();
        let one = match split(&host, number) {
            Ok(one) => one,
            Err(SplitError::TooMany { most }) => {
                prop_assert!(most >= 1);
                return Ok(());
            }
            Err(error) => return Err(TestCaseError::fail(error.to_string())),
        };
        let mut config = Config::new(one.limits);
        config.avnumproc = Some(one.avnumproc);
        config.page = host.page;
        let broken: Vec<_> = check(&config)
            .into_iter()
            .filter(|found| found.level == Severity::Error)
            .collect();
        prop_assert!(broken.is_empty(), "{:?} {:?}", one, broken);
        let guaranteed = one.limits[Resource::VmGuarPages].unwrap().barrier;
        prop_assert!(
            u128::from(guaranteed) * u128::from(host.page.bytes()) * u128::from(number)
                <= u128::from(ram) + u128::from(swap)
                || guaranteed == 1024
        );
    }
}
