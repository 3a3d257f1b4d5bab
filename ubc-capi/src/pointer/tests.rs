use std::ptr::{null, null_mut};

use super::*;

#[test]
fn null_and_unaligned_pointers_are_refused_by_name() {
    let said = |fault: Result<(), Fault>| format!("{:?}", fault.unwrap_err());
    let odd = std::ptr::without_provenance_mut::<u64>(9);
    // SAFETY: none of them is followed.
    unsafe {
        assert!(said(read::<u64>(null(), "node").map(drop)).contains("node is NULL"));
        assert!(said(read(odd, "node").map(drop)).contains("node is not aligned"));
        assert!(said(write(odd, 1, "row")).contains("row is not aligned"));
        assert!(said(write::<u64>(null_mut(), 1, "row")).contains("row is NULL"));
        assert!(said(give::<u64>(null_mut(), 1, "node")).contains("node is NULL"));
        assert!(said(take::<u64>(null_mut(), "node").map(drop)).contains("node is NULL"));
        assert!(said(array(odd, 1, "limits").map(drop)).contains("limits is not aligned"));
        let endless = array(std::ptr::from_ref(&0_u64), usize::MAX, "limits");
        assert!(said(endless.map(drop)).contains("limits has no"));
        assert!(array::<u64>(null(), 0, "limits").unwrap().is_empty());
        assert!(text(null(), "name").unwrap().is_none());
        assert!(said(needed(null(), "name").map(drop)).contains("name is NULL"));
        assert!(said(text(c"\xff".as_ptr(), "name").map(drop)).contains("name is not UTF-8"));
    }
}

#[test]
fn a_string_that_does_not_fit_is_not_cut() {
    let mut buffer: [c_char; 4] = [1; 4];
    // SAFETY: the buffer is as long as said.
    unsafe {
        assert!(copy(b"four", buffer.as_mut_ptr(), 4).is_err());
        assert_eq!(buffer, [1; 4]);
        copy(b"abc", buffer.as_mut_ptr(), 4).unwrap();
        assert_eq!(CStr::from_ptr(buffer.as_ptr()), c"abc");
        assert!(copy(b"", buffer.as_mut_ptr(), 0).is_err());
        assert!(copy(b"", null_mut(), 4).is_err());
    }
}

#[test]
fn a_handle_that_is_given_can_be_taken_once_and_is_the_same() {
    let mut handle: *mut String = null_mut();
    // SAFETY: given, read and taken once.
    unsafe {
        give(&raw mut handle, "handle".to_owned(), "handle").unwrap();
        assert_eq!(read(handle, "handle").unwrap(), "handle");
        assert_eq!(*take(handle, "handle").unwrap(), "handle");
    }
}
