use super::*;

#[test]
fn a_classic_sample_sets_every_resource_but_swappages_once() {
    for profile in [VE_BASIC, VE_LIGHT] {
        let limits = profile.limits();
        let unset: Vec<Resource> = limits
            .iter()
            .filter(|(_, pair)| pair.is_none())
            .map(|(resource, _)| resource)
            .collect();
        assert_eq!(unset, [Resource::SwapPages], "{}", profile.name);
        assert_eq!(profile.pairs.len(), Resource::COUNT - 1, "{}", profile.name);
        for pair in limits.iter().filter_map(|(_, pair)| *pair) {
            assert_eq!(Limits::ordered(pair.barrier, pair.limit), Ok(pair));
        }
    }
}

#[test]
fn a_mistyped_number_in_a_sample_changes_its_published_commitment() {
    // The sum of kmemsize and the buffers at their limits, as vzmemcheck
    // adds it up: 22556180 and 2805760 bytes.
    let committed = |profile: Profile| -> u64 {
        let limits = profile.limits();
        [
            Resource::KmemSize,
            Resource::TcpSndBuf,
            Resource::TcpRcvBuf,
            Resource::OtherSockBuf,
            Resource::DgramRcvBuf,
        ]
        .into_iter()
        .filter_map(|resource| limits[resource])
        .map(|pair| pair.limit)
        .sum()
    };
    assert_eq!((committed(VE_BASIC), committed(VE_LIGHT)), (22_556_180, 2_805_760));
}

#[test]
fn vswap_samples_have_twice_their_ram_as_swap_whatever_the_page() {
    for bytes in [4096, 16_384, 65_536] {
        let page = PageSize::new(bytes).unwrap();
        for sample in VSWAP {
            let vswap = sample.vswap(page);
            assert_eq!(vswap.swap, 2 * vswap.ram, "{}", sample.name);
            assert_eq!(page.bytes_in(vswap.ram), u128::from(sample.ram));
        }
    }
    assert_eq!(VSWAP[0].vswap(PageSize::DEFAULT).ram, 65_536);
}
