use super::*;

fn figure(ratio: f64, goal: Goal) -> Figure {
    Figure { ratio: Some(ratio), goal: Some(goal), ..Figure::count("it", 3.0, "ns", None) }
}

#[test]
fn a_goal_for_rates_is_not_met_by_being_slower() {
    assert_eq!(figure(0.5, Goal::AtLeast(10.0)).met(), Some(false));
    assert_eq!(figure(12.0, Goal::AtLeast(10.0)).met(), Some(true));
    assert_eq!(figure(0.5, Goal::AtMost(1.25)).met(), Some(true));
    assert_eq!(figure(1.26, Goal::AtMost(1.25)).met(), Some(false));
    assert_eq!(figure(9.0, Goal::Value(0.0)).met(), Some(false));
}

#[test]
fn a_rate_is_the_other_way_round_with_its_spread() {
    let slow = Figure { spread: Some([0.1, 0.4]), ..figure(0.2, Goal::AtLeast(4.0)) };
    let rate = slow.inverted("reads/s");
    assert_eq!((rate.ratio, rate.spread), (Some(5.0), Some([2.5, 10.0])));
    assert_eq!(rate.met(), Some(true));
}

#[test]
fn what_was_saved_comes_back_and_what_was_not_is_no_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut group = Group::new("engine", true);
    group.add(figure(1.5, Goal::AtMost(2.0)));
    group.skip("lxcfs is not installed");
    group.save(dir.path()).expect("a file");
    assert_eq!(Group::load(dir.path(), "engine").expect("a file"), Some(group));
    assert_eq!(Group::load(dir.path(), "view").expect("no file"), None);
}

#[test]
fn every_line_of_a_table_has_the_same_columns() {
    let mut group = Group::new("engine", true);
    group.add(figure(1.5, Goal::AtMost(2.0)));
    group.add(Figure::count("refusals", 0.0, "count", Some(Goal::Value(0.0))));
    let table = group.table();
    let columns: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
    assert_eq!(columns, [9; 4], "{table}");
    assert!(table.contains("<= 2, met"), "{table}");
}
