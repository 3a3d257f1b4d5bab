use proptest::prelude::*;

use super::*;

fn limits(text: &str, unit: Unit) -> Result<Setting, ValueError> {
    parse_limits(text, unit, PageSize::DEFAULT)
}

fn one(text: &str, unit: Unit) -> u64 {
    let Setting { limits, clamped } = limits(text, unit).unwrap();
    assert_eq!(limits.barrier, limits.limit, "one number sets both: {text}");
    assert!(!clamped, "{text}");
    limits.limit
}

fn reason(text: &str, unit: Unit) -> Reason {
    limits(text, unit).unwrap_err().reason
}

#[test]
fn bare_numbers_are_in_the_resource_s_own_unit() {
    for unit in [Unit::Bytes, Unit::Pages, Unit::Count] {
        assert_eq!(one("0", unit), 0);
        assert_eq!(one("123456", unit), 123_456);
        assert_eq!(one("0000123", unit), 123);
        assert_eq!(one("unlimited", unit), UNLIMITED);
    }
}

#[test]
fn suffixes_are_powers_of_1024_in_either_case() {
    for (text, bytes) in [
        ("3T", 3 << 40),
        ("3t", 3 << 40),
        ("3G", 3 << 30),
        ("3g", 3 << 30),
        ("3M", 3 << 20),
        ("3m", 3 << 20),
        ("3K", 3 << 10),
        ("3k", 3 << 10),
        ("3P", 3 * 4096),
        ("3p", 3 * 4096),
        ("3B", 3),
        ("3b", 3),
    ] {
        assert_eq!(one(text, Unit::Bytes), bytes, "{text}");
        assert_eq!(one(text, Unit::Pages), bytes / 4096, "{text}");
    }
}

#[test]
fn pages_follow_the_page_size_of_the_machine() {
    let large = PageSize::new(65_536).unwrap();
    let pages = |text| parse_limits(text, Unit::Pages, large).unwrap().limits.limit;
    assert_eq!((pages("1M"), pages("3P"), pages("7")), (16, 3, 7));
    let bytes = parse_limits("3P", Unit::Bytes, large).unwrap();
    assert_eq!(bytes.limits.limit, 3 * 65_536);
    assert_eq!(parse_memory("65537", large).unwrap().pages, 2);
}

#[test]
fn limits_round_down_and_memory_rounds_up_to_pages() {
    assert_eq!(one("4095B", Unit::Pages), 0);
    assert_eq!(one("8191B", Unit::Pages), 1);
    let pages = |text| parse_memory(text, PageSize::DEFAULT).unwrap().pages;
    assert_eq!((pages("1"), pages("4096"), pages("4097")), (1, 1, 2));
    // A fraction of a byte above a page still needs the next page.
    assert_eq!((pages("4096.0B"), pages("4096.000000000000000001B")), (1, 2));
    assert_eq!((pages("0"), pages("0.5P"), pages("unlimited")), (0, 1, UNLIMITED));
}

#[test]
fn fractions_are_decimal_and_exact() {
    // 2362232012.8 bytes
    assert_eq!(one("2.2G", Unit::Bytes), 2_362_232_012);
    assert_eq!(one("1.1G", Unit::Pages), 288_358);
    assert_eq!(one("0.5K", Unit::Bytes), 512);
    assert_eq!(one("1.5P", Unit::Pages), 1);
    // 2^53 + 1 and more: a float would round these.
    assert_eq!(one("9007199254740993B", Unit::Bytes), 9_007_199_254_740_993);
    assert_eq!(one("8388607.999999999999T", Unit::Bytes), 9_223_372_036_854_775_806);
    assert_eq!(one("0.999999999999999999K", Unit::Bytes), 1023);
}

#[test]
fn a_pair_is_split_at_the_colon_and_each_side_has_its_own_suffix() {
    let pair = limits("5M:6M", Unit::Pages).unwrap().limits;
    assert_eq!((pair.barrier, pair.limit), (1280, 1536));
    let pair = limits("0:256M", Unit::Pages).unwrap().limits;
    assert_eq!((pair.barrier, pair.limit), (0, 65_536));
    let pair = limits("33792:unlimited", Unit::Pages).unwrap().limits;
    assert_eq!((pair.barrier, pair.limit), (33_792, UNLIMITED));
}

#[test]
fn above_the_maximum_is_clamped_and_said_so_and_above_64_bits_refused() {
    let maximum = "9223372036854775807";
    assert_eq!(one(maximum, Unit::Count), UNLIMITED);
    for text in ["9223372036854775808", "18446744073709551615"] {
        for unit in [Unit::Bytes, Unit::Pages, Unit::Count] {
            let both = limits(text, unit).unwrap();
            assert_eq!(both, Setting { limits: Limits::UNLIMITED, clamped: true });
        }
    }
    assert!(limits("5:9223372036854775808", Unit::Count).unwrap().clamped);
    assert!(limits("8388608T", Unit::Bytes).unwrap().clamped);
    assert!(!limits("8388608T", Unit::Pages).unwrap().clamped, "as pages it fits");
    assert_eq!(reason("18446744073709551616", Unit::Count), Reason::TooLarge);
    assert_eq!(reason("16777216T", Unit::Bytes), Reason::TooLarge);
    assert_eq!(reason(&"9".repeat(1000), Unit::Bytes), Reason::TooLarge);
    let ram = parse_memory("18446744073709551615T", PageSize::new(1).unwrap());
    assert_eq!(ram.unwrap_err().reason, Reason::TooLarge);
}

#[test]
fn a_barrier_above_its_limit_is_refused() {
    let error = limits("10:5", Unit::Count).unwrap_err();
    assert_eq!(
        error.to_string(),
        "\"10:5\": barrier 10 is above limit 5; accepted: barrier <= limit"
    );
    assert!(std::error::Error::source(&error).is_some());
    // Equal once converted.
    assert!(limits("8191B:1P", Unit::Pages).is_ok());
}

#[test]
fn counts_have_no_suffix() {
    for suffix in ['K', 'm', 'G', 'T', 'P', 'B'] {
        assert_eq!(reason(&format!("5{suffix}"), Unit::Count), Reason::SuffixOnCount(suffix));
    }
    assert_eq!(reason("5x", Unit::Count), Reason::UnknownSuffix('x'));
}

#[test]
fn what_a_c_parser_would_let_through_is_refused() {
    for (text, expected) in [
        ("", Reason::Empty),
        (":", Reason::Empty),
        ("5:", Reason::Empty),
        (":5", Reason::Empty),
        ("-1", Reason::NotANumber),
        ("+1", Reason::NotANumber),
        (" 1", Reason::NotANumber),
        ("1 ", Reason::UnknownSuffix(' ')),
        ("0x10", Reason::NotANumber),
        ("1e3", Reason::NotANumber),
        ("1e", Reason::UnknownSuffix('e')),
        ("5MB", Reason::NotANumber),
        ("1:2:3", Reason::NotANumber),
        ("M", Reason::NotANumber),
        (".", Reason::NotANumber),
        (".5G", Reason::NotANumber),
        ("5.G", Reason::NotANumber),
        ("1.2.3G", Reason::NotANumber),
        ("1.5", Reason::FractionWithoutSuffix),
        ("1.0", Reason::FractionWithoutSuffix),
        ("1.0000000000000000001G", Reason::TooManyDecimals),
        ("Unlimited", Reason::NotANumber),
        ("unlimited ", Reason::NotANumber),
        ("\u{661}", Reason::NotANumber),
        ("1\u{2126}", Reason::UnknownSuffix('\u{2126}')),
        ("1\0", Reason::UnknownSuffix('\0')),
    ] {
        assert_eq!(reason(text, Unit::Pages), expected, "{text:?}");
    }
}

#[test]
fn an_error_names_the_value_and_what_is_accepted_in_one_line() {
    assert_eq!(
        limits("5Q", Unit::Pages).unwrap_err().to_string(),
        "\"5Q\": unknown suffix 'Q'; accepted: a whole number of pages, a number with \
         T, G, M, K, P or B such as 2.2G, or \"unlimited\", once or as barrier:limit"
    );
    assert_eq!(
        parse_memory("much", PageSize::DEFAULT).unwrap_err().to_string(),
        "\"much\": not a number; accepted: a whole number of bytes, a number with \
         T, G, M, K, P or B such as 2.2G, or \"unlimited\""
    );
    let long = "\n".repeat(100_000);
    let message = limits(&long, Unit::Bytes).unwrap_err().to_string();
    assert!(message.len() < 300 && !message.contains('\n'), "{message}");
}

#[test]
fn thresholds_are_shown_as_vzctl_saves_them() {
    for (barrier, limit, shown) in [
        (5, 5, "5"),
        (5, 6, "5:6"),
        (0, UNLIMITED, "0:unlimited"),
        (UNLIMITED, UNLIMITED, "unlimited"),
        (10, 5, "10:5"),
    ] {
        assert_eq!(Shown(Limits { barrier, limit }).to_string(), shown);
    }
}

fn units() -> impl Strategy<Value = Unit> {
    prop::sample::select(vec![Unit::Bytes, Unit::Pages, Unit::Count])
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(a in 0..=UNLIMITED, b in 0..=UNLIMITED, unit in units()) {
        let pair = Limits { barrier: a.min(b), limit: a.max(b) };
        let read = limits(&Shown(pair).to_string(), unit);
        prop_assert_eq!(read, Ok(Setting { limits: pair, clamped: false }));
    }

    #[test]
    fn no_text_panics_and_no_error_spans_lines(
        text in "[0-9.:TGMKPBtgmkpbunlimited\n\u{e9}-]{0,24}|.{0,64}", unit in units(), shift in 0..=30_u32,
    ) {
        let page = PageSize::new(1 << shift).unwrap();
        for result in [parse_limits(&text, unit, page).map(|_| ()), parse_memory(&text, page).map(|_| ())] {
            if let Err(error) = result {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn a_fraction_agrees_with_integer_arithmetic(
        whole in 0..1_u64 << 20, thousandths in 0..1000_u64, suffix in prop::sample::select(vec!['K', 'M', 'G']),
    ) {
        let scale: u128 = match suffix { 'K' => 1 << 10, 'M' => 1 << 20, _ => 1 << 30 };
        let exact = (u128::from(whole) * 1000 + u128::from(thousandths)) * scale / 1000;
        let read = limits(&format!("{whole}.{thousandths:03}{suffix}"), Unit::Bytes).unwrap();
        prop_assert_eq!(u128::from(read.limits.limit), exact);
    }
}
