use alloc::string::ToString;

use super::*;

fn at() -> UbId {
    "101.2".parse().unwrap()
}

#[test]
fn a_refusal_says_everything_in_one_line() {
    let limits = Limits { barrier: 240, limit: 260 };
    let denied = Denied::Over { held: 240, limits };
    let error = ChargeError::new(denied, at(), Resource::NumProc, 1, Severity::Hard.into());
    assert_eq!(
        error.to_string(),
        "numproc: hard charge of 1 refused by 101.2: held 240, barrier 240, limit 260"
    );
    assert_eq!(error.refusal().map(|refusal| refusal.held), Some(240));
}

#[test]
fn an_invalid_charge_is_not_taken_for_a_refusal() {
    let ask = Severity::Hard.into();
    for denied in [Denied::TooLarge, Denied::Full { held: 1 }, Denied::Observed] {
        assert_eq!(ChargeError::new(denied, at(), Resource::NumPty, 1, ask).refusal(), None);
    }
}

#[test]
fn errors_are_errors_without_std_too() {
    fn is_error<E: core::error::Error + Send + Sync + 'static>() {}
    is_error::<ChargeError>();
    is_error::<Refusal>();
    is_error::<Underflow>();
    is_error::<SetLimitsError>();
    is_error::<TransferError>();
    is_error::<Denied>();
}
