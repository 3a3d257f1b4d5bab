use super::*;

fn message() -> String {
    // SAFETY: it ends with a NUL, and nothing is called in between.
    unsafe { CStr::from_ptr(ubc_message()) }.to_str().unwrap().to_owned()
}

#[test]
fn a_panic_does_not_cross_the_border() {
    assert_eq!(guarded(|| panic!("at {}", 7)), UBC_INTERNAL);
    assert_eq!(message(), "a fault of libubc: at 7");
    assert_eq!(guarded(|| std::panic::panic_any(7)), UBC_INTERNAL);
    assert_eq!(message(), "a fault of libubc: no message");
    assert_eq!(guarded(|| Ok(UBC_OK)), UBC_OK);
    assert_eq!(message(), "");
}

#[test]
fn a_message_is_its_threads_own_and_ends_at_a_nul() {
    assert_eq!(guarded(|| Err(Fault::invalid("mine\0 not this"))), UBC_INVALID);
    std::thread::spawn(|| {
        assert_eq!(message(), "");
        guarded(|| Err(Fault::invalid("its")));
        assert_eq!(message(), "its");
    })
    .join()
    .unwrap();
    assert_eq!(message(), "mine");
}
