use std::os::fd::AsFd as _;

use super::*;

#[test]
fn a_kept_file_is_read_to_its_end_whatever_fits_into_the_buffer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, "").unwrap();
    let handle = std::fs::File::open(dir.path()).unwrap();
    let file = KeptFile::open(handle.as_fd(), dir.path(), "file").unwrap().unwrap();
    let mut buffer = Vec::new();
    for length in [0, 1, 4095, 4096, 4097, 8192, 20_000, 3] {
        let text = vec![b'x'; length];
        std::fs::write(&path, &text).unwrap();
        assert_eq!(file.read(&mut buffer).unwrap(), text, "{length} bytes");
    }
}

#[test]
fn a_file_of_many_records_is_read_to_its_end() {
    // The kernel hands these out a page at a time, with room left.
    let mut buffer = Vec::with_capacity(1 << 20);
    let file = std::fs::File::open("/proc/self/smaps").unwrap();
    read_into(file, &mut buffer).unwrap();
    assert!(buffer.len() > 8192, "{} bytes", buffer.len());
    assert!(String::from_utf8_lossy(&buffer).contains("[stack]"));
}
