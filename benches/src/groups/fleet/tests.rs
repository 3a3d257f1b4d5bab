use super::*;

#[test]
fn an_alert_waits_for_a_scrape_and_for_a_rule_and_no_longer() {
    let outcome = simulate(1000, 0.5, 1);
    let [middle, late] = outcome.told;
    assert!(0.5 <= middle && middle <= late);
    assert!(late <= INTERVAL + 0.5 + EVALUATION, "{late}");
}

#[test]
fn scrapes_that_fill_the_interval_are_all_under_way_at_once() {
    let whole = simulate(50, INTERVAL - 1e-9, 2);
    assert!((49..=50).contains(&whole.at_once), "{whole:?}");
    let quick = simulate(50, 0.0, 3);
    assert!(quick.at_once <= 1, "{quick:?}");
}

#[test]
fn the_same_seed_gives_the_same_fleet() {
    assert_eq!(simulate(100, 1.0, 4), simulate(100, 1.0, 4));
    assert_ne!(simulate(100, 1.0, 4), simulate(100, 1.0, 5));
}

#[test]
fn a_model_has_no_figure_that_is_no_number() {
    let mut group = Group::default();
    model(Scrape { series: 140.0, bytes: 9000.0, seconds: 1e-4 }, &mut group);
    assert!(group.figures.iter().all(|figure| figure.value.is_finite() && figure.value > 0.0));
}
