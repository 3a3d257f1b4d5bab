use super::*;

#[test]
fn a_size_that_would_divide_by_zero_or_split_a_page_is_refused() {
    for bytes in [0, 3, 4095, 4097, (1 << 30) + 1, 1 << 31, u64::MAX] {
        assert_eq!(PageSize::new(bytes), Err(InvalidPageSize(bytes)), "{bytes}");
    }
    for bytes in [1, 4096, 16384, 65536, 1 << 30] {
        assert_eq!(PageSize::new(bytes).map(PageSize::bytes), Ok(bytes));
    }
}

#[test]
fn conversions_round_the_way_their_names_say_and_never_wrap() {
    let page = PageSize::DEFAULT;
    assert_eq!((page.whole_pages(8191), page.pages_for(8191)), (1, 2));
    assert_eq!((page.whole_pages(8192), page.pages_for(8192)), (2, 2));
    assert_eq!((page.whole_pages(0), page.pages_for(0)), (0, 0));
    assert_eq!(page.bytes_in(u64::MAX), u128::from(u64::MAX) << 12);
    assert_eq!(page.whole_pages(u128::MAX), u128::MAX >> 12);
    assert_eq!(page.pages_for(u128::MAX), (u128::MAX >> 12) + 1);
}

#[test]
fn an_amount_above_the_maximum_is_no_limit_and_not_a_small_one() {
    assert_eq!(clamp(7), 7);
    assert_eq!(clamp(u128::from(UNLIMITED)), UNLIMITED);
    assert_eq!(clamp(u128::from(UNLIMITED) + 1), UNLIMITED);
    assert_eq!(clamp(u128::from(u64::MAX) + 8), UNLIMITED);
}
