use proptest::prelude::*;

use super::*;

fn container(number: u32) -> ContainerId {
    ContainerId::new(number).unwrap()
}

/// The ring as the reference writes it: `A1/4 B1/4 C1/2`.
fn drawn(page: &SharedPage) -> String {
    let user = |(id, share): (ContainerId, u64)| {
        let letter = char::from_u32(u32::from('A') + id.get()).unwrap();
        match WHOLE_PAGE / share {
            1 => format!("{letter}1"),
            part => format!("{letter}1/{part}"),
        }
    };
    page.shares().map(user).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_published_sequence_gives_the_published_rings() {
    let (mut page, mut totals) = (SharedPage::new(), PageTotals::new());
    for (step, expected) in [
        ("+A", "A1"),
        ("+B", "A1/2 B1/2"),
        ("+C", "B1/2 A1/4 C1/4"),
        ("+D", "A1/4 C1/4 B1/4 D1/4"),
        ("+E", "C1/4 B1/4 D1/4 A1/8 E1/8"),
        ("-A", "E1/4 C1/4 B1/4 D1/4"),
        ("-D", "B1/2 E1/4 C1/4"),
        ("-B", "E1/2 C1/2"),
        ("-C", "E1"),
        ("-E", ""),
    ] {
        let id = container(u32::from(step.as_bytes()[1] - b'A'));
        if step.starts_with('+') {
            page.map(id, &mut totals);
        } else {
            page.unmap(id, &mut totals).unwrap();
        }
        assert_eq!(drawn(&page), expected, "after {step}");
    }
    assert!(page.is_unused());
    assert_eq!(totals, PageTotals::new(), "a page nobody uses is nobody's");
}

#[test]
fn mapping_twice_does_not_pay_twice() {
    let (mut page, mut totals) = (SharedPage::new(), PageTotals::new());
    let (a, b) = (container(1), container(2));
    page.map(a, &mut totals);
    page.map(a, &mut totals);
    page.map(b, &mut totals);
    assert_eq!(page.share(a), WHOLE_PAGE / 2);
    page.unmap(a, &mut totals).unwrap();
    assert_eq!(page.share(a), WHOLE_PAGE / 2, "one of two mappings is left");
    page.unmap(a, &mut totals).unwrap();
    assert_eq!((page.share(a), page.share(b)), (0, WHOLE_PAGE));
}

#[test]
fn giving_up_a_mapping_one_does_not_have_changes_nothing() {
    let (mut page, mut totals) = (SharedPage::new(), PageTotals::new());
    page.map(container(1), &mut totals);
    let before = totals.clone();
    assert_eq!(page.unmap(container(2), &mut totals), Err(NotMapped(container(2))));
    assert_eq!(totals, before);
    assert_eq!(page.share(container(1)), WHOLE_PAGE);
}

#[test]
fn halves_of_many_pages_add_up_before_they_are_rounded() {
    let mut totals = PageTotals::new();
    let mut pages = vec![SharedPage::new(); 3];
    for page in &mut pages {
        page.map(container(1), &mut totals);
        page.map(container(2), &mut totals);
    }
    assert_eq!(totals.weight(container(1)), 3 * WHOLE_PAGE / 2);
    assert_eq!(totals.pages(container(1)), 1, "1.5 pages are shown as 1, not as 0");
}

/// A step of a random history: which page, which container, map or unmap.
fn history() -> impl Strategy<Value = Vec<(usize, u32, bool)>> {
    prop::collection::vec((0..4_usize, 0..24_u32, prop::bool::weighted(0.6)), 1..400)
}

proptest! {
    #[test]
    fn shares_always_add_up_to_one_page_and_totals_to_the_shares(steps in history()) {
        let mut pages = vec![SharedPage::new(); 4];
        let mut totals = PageTotals::new();
        for (page, id, map) in steps {
            let id = container(id);
            if map {
                pages[page].map(id, &mut totals);
            } else {
                let had = pages[page].share(id) > 0;
                prop_assert_eq!(pages[page].unmap(id, &mut totals).is_ok(), had);
            }
            for page in &pages {
                let sum: u64 = page.shares().map(|(_, share)| share).sum();
                prop_assert_eq!(sum, if page.is_unused() { 0 } else { WHOLE_PAGE });
                let shares: Vec<u64> = page.shares().map(|(_, share)| share).collect();
                prop_assert!(shares.is_sorted_by(|a, b| a >= b), "head has the most: {:?}", shares);
                if let (Some(first), Some(last)) = (shares.first(), shares.last()) {
                    prop_assert!(first <= &(2 * last), "at most a factor of two: {:?}", shares);
                }
            }
            for number in 0..24 {
                let id = container(number);
                let weight: u64 = pages.iter().map(|page| page.share(id)).sum();
                prop_assert_eq!(totals.weight(id), weight);
                prop_assert_eq!(totals.pages(id), weight >> 24);
            }
        }
    }
}
