use ubc_core::{PerResource, Reading, UNLIMITED};

use super::*;

fn moment(held: u64, limit: u64, failcnt: u64) -> Moment {
    let mut rows = PerResource::from_fn(|_| Numbers::NONE.row());
    let row = Row { held, maxheld: held, minheld: 0, barrier: limit, limit, failcnt };
    rows[Resource::NumFile] = row;
    Moment::of(&[Reading { id: id(), rows }])
}

fn id() -> ContainerId {
    ContainerId::new(7).unwrap()
}

fn told(moments: &[Moment]) -> Vec<String> {
    let (mut story, mut before) = (Story::default(), Moment::default());
    let mut said = Vec::new();
    for (time, moment) in (0_u32..).zip(moments) {
        let entry =
            if time == 0 { moment.whole(0.0) } else { moment.since(&before, f64::from(time)) };
        said.extend(story.tell(&entry).iter().map(ToString::to_string));
        before = moment.clone();
    }
    said
}

#[test]
fn failures_of_before_the_record_are_not_told_as_new() {
    let said = told(&[moment(5, 10, 900), moment(5, 10, 900), moment(10, 10, 903)]);
    let line = "1970-01-01T00:00:02Z container 7: numfile failed 3 times since the reading \
                before, held 10, limits 10";
    assert_eq!(said, [line]);
}

#[test]
fn failures_of_a_container_that_came_back_are_all_told() {
    let said = told(&[
        moment(5, 10, 9),
        Moment::default(),
        moment(5, 10, 2),
        // Ended and came back between two readings.
        moment(5, 10, 1),
    ]);
    let times: Vec<&str> = said.iter().filter_map(|line| line.split("failed ").nth(1)).collect();
    assert_eq!(times.len(), 2, "{said:?}");
    assert!(times[0].starts_with("2 times") && times[1].starts_with("1 time "), "{said:?}");
    assert!(said.iter().any(|line| line.ends_with("container 7: ended")), "{said:?}");
    assert!(said.iter().any(|line| line.ends_with("container 7: came")), "{said:?}");
}

#[test]
fn a_changed_limit_is_told_with_what_it_was() {
    let said = told(&[moment(5, 10, 0), moment(5, UNLIMITED, 0)]);
    assert_eq!(
        said,
        ["1970-01-01T00:00:01Z container 7: numfile limits changed from 10 to unlimited"]
    );
}
