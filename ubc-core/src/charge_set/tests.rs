use super::*;
use crate::{ContainerId, Limits, Row, Severity};

const A: Resource = Resource::PhysPages;
const B: Resource = Resource::KmemSize;
const C: Resource = Resource::NumFile;

fn top(id: u32) -> Beancounter {
    Beancounter::new(ContainerId::new(id).unwrap())
}

fn held(beancounter: &Beancounter) -> [u64; 3] {
    [A, B, C].map(|resource| beancounter.row(resource).held)
}

#[test]
fn one_refusal_takes_back_everything_before_it_and_counts_once() {
    let beancounter = top(101);
    beancounter.set_limits(B, Limits::both(1).unwrap()).unwrap();
    let error = beancounter.charge_all(&[(A, 1), (B, 2), (C, 3)], Severity::Hard).unwrap_err();
    assert_eq!(error.refusal().unwrap().resource, B);
    assert_eq!(held(&beancounter), [0, 0, 0]);
    assert_eq!([A, B, C].map(|r| beancounter.row(r).failcnt), [0, 1, 0]);
    assert_eq!([A, B, C].map(|r| beancounter.row(r).maxheld), [1, 0, 0]);
}

#[test]
fn a_dropped_set_gives_everything_back() {
    let beancounter = top(101);
    let set = beancounter.charge_all(&[(A, 1), (B, 2), (A, 4)], Severity::Hard).unwrap();
    assert_eq!((set.amount(A), set.amount(B), set.amount(C)), (5, 2, 0));
    assert_eq!(held(&beancounter), [5, 2, 0]);
    drop(set);
    assert_eq!(held(&beancounter), [0, 0, 0]);
    assert!(!beancounter.underflowed());
}

#[test]
fn what_is_taken_out_of_a_set_is_not_given_back_twice() {
    let beancounter = top(101);
    let mut set = beancounter.charge_all(&[(A, 1), (B, 2)], Severity::Hard).unwrap();
    let taken = set.take(B);
    drop(set);
    assert_eq!(held(&beancounter), [0, 2, 0]);
    drop(taken);
    assert_eq!(held(&beancounter), [0, 0, 0]);
    assert!(!beancounter.underflowed());
}

#[test]
fn a_forgotten_set_stays_charged() {
    let beancounter = top(101);
    let amounts = beancounter.charge_all(&[(C, 2)], Severity::Hard).unwrap().forget();
    assert_eq!((amounts[C], held(&beancounter)), (2, [0, 0, 2]));
}

#[test]
fn a_set_moves_whole_or_not_at_all() {
    let (from, to) = (top(101), top(102));
    let mut set = from.charge_all(&[(A, 1), (B, 2), (C, 3)], Severity::Hard).unwrap();
    to.set_limits(C, Limits::both(2).unwrap()).unwrap();
    assert!(set.transfer(&to, Severity::Hard).is_err());
    assert_eq!((held(&from), held(&to)), ([1, 2, 3], [0, 0, 0]));
    assert!(set.owner().is(&from));

    to.set_limits(C, Limits::UNLIMITED).unwrap();
    set.transfer(&to, Severity::Hard).unwrap();
    assert_eq!((held(&from), held(&to)), ([0, 0, 0], [1, 2, 3]));
    drop(set);
    assert_eq!(held(&to), [0, 0, 0]);
    assert!(!to.underflowed() && !from.underflowed());
}

#[test]
fn an_empty_set_charges_nothing() {
    let beancounter = top(101);
    drop(beancounter.charge_all(&[], Severity::Hard).unwrap());
    assert_eq!(beancounter.row(A), Row::from_limits(Limits::UNLIMITED));
}
