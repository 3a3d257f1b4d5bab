use super::*;

#[test]
fn a_group_without_ratios_has_a_table_and_no_plot() {
    let mut group = Group::new("engine", false);
    group.add(Figure::count("refusals", 0.0, "count", Some(Goal::Value(0.0))));
    let html = page(&[group]).expect("a page");
    assert!(!html.contains("<svg") && html.contains("| refusals "), "{html}");
}

#[test]
fn names_do_not_become_markup_and_each_ratio_is_a_dot() {
    let mut group = Group::new("a<b", true);
    for ratio in [0.01, 30.0] {
        let figure = Figure::count("x & y", 1.0, "ns", Some(Goal::AtMost(0.5)));
        group.add(Figure { ratio: Some(ratio), spread: Some([ratio, ratio]), ..figure });
    }
    let html = page(&[group]).expect("a page");
    assert!(html.contains("<h2>a&lt;b</h2>") && html.contains("brief run"), "{html}");
    assert_eq!(html.matches("<circle").count(), 2);
}
