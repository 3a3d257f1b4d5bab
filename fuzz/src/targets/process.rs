//! Files of a process, and System V segments.

use ubc_cgroup::parse::{Link, Rollup, Status, link, rollup, shm_segments, status};

use super::{assert_malformed, lines};

/// What is read of a file is read the same again when it is written as the
/// kernel does.
///
/// # Panics
///
/// If that does not hold.
pub fn proc_files(data: &[u8]) {
    match status(data) {
        Ok(found) => {
            assert_eq!(status(&status_text(&found)), Ok(found));
            let sign = |line: &&[u8]| line.starts_with(b"SigPnd:") && line.contains(&b'+');
            assert_eq!(lines(data).find(sign), None, "a mask has no sign");
            // A name cannot forge a line: its newline is escaped.
            let named = [b"Name:\tState:\\nThreads: 7\n", data].concat();
            assert_eq!(status(&named), Ok(found));
        }
        Err(error) => assert_malformed(&error, data),
    }

    match rollup(data) {
        Ok(found) => {
            let Rollup { pss, pss_anon } = found;
            let anon = pss_anon.map(|anon| format!("Pss_Anon: {anon:>14} kB\n"));
            let text = format!("Pss: {pss:>19} kB\n{}", anon.unwrap_or_default());
            assert_eq!(rollup(text.as_bytes()), Ok(found));
        }
        Err(error) => assert_malformed(&error, data),
    }

    match link(data) {
        Link::Socket(inode) => {
            assert_eq!(link(format!("socket:[{inode}]").as_bytes()), Link::Socket(inode));
            assert_eq!(link(&[b"/tmp/", data].concat()), Link::Path);
        }
        found => assert_eq!(found == Link::Path, data.first() == Some(&b'/')),
    }

    match shm_segments(data) {
        Ok(found) => {
            assert!(found.len() < lines(data).count().max(1));
            let mut text = "       key      shmid perms                  size\n".to_owned();
            for segment in &found {
                let (size, backed) = (segment.size, segment.backed);
                let line = format!("0 1 600 {size:>21} 1 2 3 4 5 6 7 8 9 10 {backed:>21} 0\n");
                text.push_str(&line);
            }
            assert_eq!(shm_segments(text.as_bytes()), Ok(found));
        }
        Err(error) => assert_malformed(&error, data),
    }
}

fn status_text(status: &Status) -> Vec<u8> {
    let mut text = [b"State:\t", [status.state].as_slice(), b" (whatever)\n"].concat();
    let sizes = [
        ("VmSize", status.vm_size),
        ("VmLck", status.vm_lck),
        ("VmRSS", status.vm_rss),
        ("RssAnon", status.rss_anon),
        ("RssShmem", status.rss_shmem),
        ("VmData", status.vm_data),
        ("VmStk", status.vm_stk),
        ("VmSwap", status.vm_swap),
    ];
    let sizes: String = sizes.map(|(key, size)| format!("{key}:\t{size:>8} kB\n")).concat();
    let uid = status.uid;
    let rest = format!(
        "Uid:\t{uid}\t0\t0\t0\n{sizes}Threads:\t{}\nSigQ:\t{}/1\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\n",
        status.threads, status.sigq, status.pending[0], status.pending[1],
    );
    text.extend_from_slice(rest.as_bytes());
    text
}
