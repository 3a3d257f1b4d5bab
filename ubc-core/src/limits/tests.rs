use super::*;

#[test]
fn a_value_above_long_max_is_refused_not_wrapped() {
    assert_eq!(Limits::new(UNLIMITED + 1, 0), Err(LimitsError::BarrierTooLarge(UNLIMITED + 1)));
    assert_eq!(Limits::new(0, u64::MAX), Err(LimitsError::LimitTooLarge(u64::MAX)));
    assert_eq!(Limits::both(UNLIMITED), Ok(Limits::UNLIMITED));
}

#[test]
fn the_engine_takes_a_barrier_above_the_limit_but_an_administrator_may_not() {
    let pair = Limits::new(10, 5).unwrap();
    assert_eq!(pair.hard(), 5);
    assert_eq!(
        Limits::ordered(10, 5),
        Err(LimitsError::BarrierAboveLimit { barrier: 10, limit: 5 })
    );
    assert_eq!(Limits::ordered(5, 5).unwrap().hard(), 5);
}
