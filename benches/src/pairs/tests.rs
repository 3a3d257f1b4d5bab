use super::*;

#[test]
fn a_machine_that_slows_down_changes_the_times_but_not_the_ratio() {
    // Each call is slower than the one before; the subject costs twice as much.
    let now = std::cell::Cell::new(1.0_f64);
    let tick = |n: u64, cost: f64| {
        now.set(now.get() * 1.02);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        Duration::from_secs_f64(n as f64 * cost * now.get() * 1e-6)
    };
    let figure = Pair::new("subject", "yardstick", None).measure(
        Effort::FULL,
        &mut |n| tick(n, 2.0),
        &mut |n| tick(n, 1.0),
    );
    let ratio = figure.ratio.expect("a pair has a ratio");
    assert!((ratio - 2.0).abs() < 0.1, "{ratio}");
}

#[test]
fn one_turn_that_was_interrupted_does_not_move_the_median() {
    let mut values = [1.0, 1.1, 0.9, 100.0, 1.0];
    assert_eq!(quartiles(&mut values).map(|v| format!("{v:.1}")), ["1.0", "1.0", "1.1"]);
}

#[test]
fn a_yardstick_taken_several_times_is_several_times_as_long() {
    let mut same = |n: u64| Duration::from_nanos(n * 1000);
    let pair = Pair::new("subject", "five", None).times(5.0);
    let figure = pair.measure(Effort::QUICK, &mut { same }, &mut same);
    assert_eq!(figure.ratio.map(|ratio| (ratio * 100.0).round()), Some(20.0));
}
