use proptest::prelude::*;

use super::*;

#[test]
fn a_flat_keyed_file_with_garbage_names_the_line() {
    let stat = Stat::parse(b"anon 4096\nfile 0\n").unwrap();
    assert_eq!(
        (stat.get("anon"), stat.get("file"), stat.get("kernel")),
        (Some(4096), Some(0), None)
    );
    for (text, line) in [
        (&b"anon 1\nfile -1\n"[..], 2),
        (b"anon\n", 1),
        (b"anon 1 2\n", 1),
        (b"anon 18446744073709551616\n", 1),
        (b"a 1\nb 2\nanon 0x10", 3),
        (b"\xff\xfe \xff", 1),
    ] {
        assert_eq!(Stat::parse(text).unwrap_err().line, line, "{text:?}");
    }
}

#[test]
fn some_values_of_a_file_are_those_of_the_whole_file() {
    let text = b"slab 1\nanon 4096\nanon 7\nslab_x 2\n";
    let keys = ["anon", "slab", "sla", "kernel"];
    assert_eq!(values(text, keys), Ok([Some(4096), Some(1), None, None]), "the first counts");
    assert_eq!(values(b"anon 1\nfile x\n", keys).unwrap_err().line, 2, "whatever is wanted");
}

#[test]
fn a_limit_is_a_number_or_max_and_nothing_else() {
    assert_eq!(limit(b"max\n"), Ok(None));
    assert_eq!(limit(b"0\n"), Ok(Some(0)));
    assert_eq!(limit(b"9223372036854771712\n"), Ok(Some(9_223_372_036_854_771_712)));
    for text in [&b""[..], b"\n", b"-1\n", b"max max\n", b"1 2\n", b"maxx", b"1\n2\n"] {
        assert!(limit(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_pid_of_another_namespace_is_not_pid_zero() {
    assert_eq!(pids(b"1\n0\n77\n"), Ok(vec![1, 77]));
    assert_eq!(pids(b""), Ok(vec![]));
    assert_eq!(pids(b"1\nx\n").unwrap_err().line, 2);
}

#[test]
fn the_v2_line_is_found_among_v1_lines() {
    let hybrid = b"9:name=systemd:/\n8:pids:/x\n0::/ubc/101\n";
    assert_eq!(membership(hybrid), Some(&b"/ubc/101"[..]));
    assert_eq!(membership(b"8:pids:/x\n"), None);
    // A v1 cgroup may be named like the v2 line.
    assert_eq!(membership(b"8:pids:/0::/trap\n0::/\n"), Some(&b"/"[..]));
}

const STATUS: &[u8] = b"Name:\t\xff\\nThreads:\t99\nUmask:\t0022\nState:\tS (sleeping)\n\
    Uid:\t1000\t0\t0\t0\nThreads:\t3\nVmSize:\t    9000 kB\nVmLck:\t      64 kB\nVmRSS:\t 10 kB\n\
    RssAnon:\t 8 kB\nVmData:\t     400 kB\nVmStk:\t     132 kB\nVmSwap:\t 12 kB\nSigQ:\t7/94000\n\
    SigPnd:\t0000000000000000\nShdPnd:\t0000000400000001\n";

#[test]
fn a_hostile_name_neither_hides_nor_forges_a_status() {
    let parsed = status(STATUS).unwrap();
    assert_eq!(parsed.threads, 3);
    assert_eq!((parsed.vm_data, parsed.vm_stk, parsed.vm_lck), (400, 132, 64));
    assert_eq!((parsed.uid, parsed.sigq, parsed.state), (1000, 7, b'S'));
    assert_eq!(parsed.pending, [0, 0x4_0000_0001]);
}

#[test]
fn a_status_that_lost_its_numbers_is_an_error() {
    assert_eq!(status(b"State:\tS\nThreads:\tmany\n").unwrap_err().line, 2);
    assert_eq!(status(b"State:\tS\nSigQ:\t/1\n").unwrap_err().line, 2);
    assert_eq!(status(b"State:\tS\nSigPnd:\t+1\n").unwrap_err().line, 2);
    assert!(status(b"").is_err());
    assert_eq!(status(b"State:\tZ (zombie)\nThreads:\t1\n").unwrap().vm_data, 0);
}

#[test]
fn pss_anon_is_not_taken_for_pss() {
    let text = b"55d0-7ffd ---p 00000000 00:00 0    [rollup]\nRss:  500 kB\nPss_Dirty: 9 kB\n\
        Pss:      123 kB\nPss_Anon:  23 kB\n";
    assert_eq!(rollup(text), Ok(Rollup { pss: 123, pss_anon: Some(23) }));
    assert_eq!(rollup(b"Pss: 5 kB\n"), Ok(Rollup { pss: 5, pss_anon: None }));
    assert!(rollup(b"Rss: 5 kB\n").is_err());
}

#[test]
fn links_that_only_look_like_sockets_are_paths() {
    assert_eq!(link(b"socket:[123]"), Link::Socket(123));
    assert_eq!(link(b"socket:[12x]"), Link::Other);
    assert_eq!(link(b"/tmp/socket:[123]"), Link::Path);
    assert_eq!(link(b"anon_inode:[eventfd]"), Link::Other);
    assert_eq!(link(b""), Link::Other);
}

#[test]
fn waiting_locks_and_unknown_lines_are_skipped() {
    let text = b"1: POSIX  ADVISORY  WRITE 723 00:14:16845 0 EOF\n\
        1: -> POSIX  ADVISORY  WRITE 724 00:14:16845 0 EOF\n\
        2: OFDLCK ADVISORY  READ  -1 00:06:1028 0 EOF\n\
        3: FLOCK  ADVISORY  WRITE 0 <none>:0 0 EOF\n\
        4: LEASE  ACTIVE    READ  9 00:06:1 0 EOF\n\
        5: NEWFANGLED X Y 1 2 3\n\xff\n";
    let kinds: Vec<_> = locks(text).into_iter().map(|lock| (lock.kind, lock.pid)).collect();
    assert_eq!(
        kinds,
        [
            (LockKind::Posix, Some(723)),
            (LockKind::Ofd, None),
            (LockKind::Flock, Some(0)),
            (LockKind::Lease, Some(9)),
        ]
    );
}

#[test]
fn two_locks_of_an_fdinfo_differ_by_more_than_their_number() {
    let text = b"pos:\t0\nflags:\t02\nlock:\t1: OFDLCK ADVISORY  READ -1 00:2a:5 0 9\n\
        lock:\t2: OFDLCK ADVISORY  READ -1 00:2a:5 20 29\ntty-index:\t7\n";
    let found = fdinfo_locks(text);
    assert_eq!(found.len(), 2);
    assert_ne!(found[0].1, found[1].1);
    assert!(!found[0].1.starts_with(b"1"));
}

#[test]
fn segments_of_large_uids_do_not_blind_the_file() {
    let text = b"       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap\n\
         0          0  1600               1048577 24 0 0 4294967294 4294967294 100000 100000 0 0 1 8192 4096\n\
         0          1   600 4096 24 0 0 0 0 0 0 0 0 1 0 0\n";
    assert_eq!(
        shm_segments(text),
        Ok(vec![Segment { size: 1_048_577, backed: 12_288 }, Segment { size: 4096, backed: 0 }])
    );
    assert_eq!(shm_segments(b"header\n1 2 3\n").unwrap_err().line, 2);
    assert_eq!(shm_segments(b""), Ok(vec![]));
}

#[test]
fn mounts_with_blanks_and_no_source_are_read_right() {
    let text =
        b"36 35 0:31 /a\\040b /mnt/x\\012y\\134 rw,noatime shared:1 master:2 - tmpfs  rw,size=4k\n\
        37 36 8:1 / / rw - ext4 /dev/sda1 rw\nrubbish\n38 x 8:1 / / rw - ext4 /dev/sda1 rw\n";
    let found = mounts(text);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].point, b"/mnt/x\ny\\");
    assert_eq!(found[0].root, b"/a b");
    assert_eq!((found[0].device, found[0].kind.as_slice()), ((0, 31), &b"tmpfs"[..]));
    assert!(found[0].has_option("size=4k") && !found[0].has_option("size"));
    assert_eq!((found[1].id, found[1].parent), (37, 36));
}

/// A reply with a header of `len` bytes and one attribute.
fn reply(family: u8, len: usize, inode_at: usize, attribute: u16, words: &[u32]) -> Vec<u8> {
    let mut bytes = vec![0; len];
    bytes[0] = family;
    bytes[1] = 10;
    bytes[inode_at..inode_at + 4].copy_from_slice(&77u32.to_ne_bytes());
    let length = u16::try_from(4 + words.len() * 4).unwrap();
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&attribute.to_ne_bytes());
    bytes.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    bytes
}

#[test]
fn memory_figures_are_taken_from_their_places() {
    let words = [1, 2, 3, 4, 5, 6, 7, 8, 9];
    let socket = inet_socket(&reply(2, 72, 68, 7, &words)).unwrap();
    assert_eq!(socket, InetSocket { state: 10, inode: 77, receive: 1, send: 3, queued: 6 });
    let socket = unix_socket(&reply(1, 16, 4, 5, &words)).unwrap();
    assert_eq!(socket, UnixSocket { inode: 77, send: 3 });
    // An older kernel's shorter array, and an attribute cut short.
    assert_eq!(inet_socket(&reply(2, 72, 68, 7, &words[..2])).unwrap().send, 0);
    let mut cut = reply(2, 72, 68, 7, &words);
    cut.truncate(80);
    assert_eq!(inet_socket(&cut).unwrap().receive, 0);
    assert_eq!(inet_socket(&[2; 71]), None);
}

proptest! {
    #[test]
    fn no_input_makes_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Stat::parse(&bytes);
        let _ = (limit(&bytes), pids(&bytes), word_list(&bytes), membership(&bytes));
        let _ = (inet_socket(&bytes), unix_socket(&bytes), shm_segments(&bytes));
        let _ = (locks(&bytes), fdinfo_locks(&bytes));
        let _ = (mounts(&bytes), link(&bytes), rollup(&bytes), status(&bytes));
    }

    #[test]
    fn no_mangled_text_makes_a_parser_panic(at in 0usize..400, byte: u8, cut in 0usize..400) {
        for text in [STATUS, b"36 35 0:31 /a\\040b /mnt/x\\0 rw - tmpfs  rw\n", b"1: POSIX  ADVISORY  WRITE 723 00:14:16845 0 EOF\n"] {
            let mut text = text.to_vec();
            let len = text.len();
            text[at % len] = byte;
            text.truncate(cut % len);
            let _ = (status(&text), mounts(&text), locks(&text), fdinfo_locks(&text));
        }
        let mut bytes = reply(2, 72, 68, 7, &[1, 2, 3]);
        let len = bytes.len();
        bytes[at % len] = byte;
        let _ = (inet_socket(&bytes), unix_socket(&bytes));
    }
}
