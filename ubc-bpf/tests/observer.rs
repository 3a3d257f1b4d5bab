//! Passes over the tasks, against containers that hold known things.

mod common;

use std::os::fd::AsFd as _;

use common::{Scratch, any};
use ubc_bpf::Observer;

#[test]
fn what_a_pass_counts_is_what_there_is() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let scratch = Scratch::new();
    observer.check(&installed, scratch.dir.as_fd()).expect("a pass sees what is there");
}

/// Time of one pass over `descriptors` files of one process, for the record.
#[test]
fn measure() {
    let installed = any();
    let observer = Observer::open(&installed).expect("the kernel takes iterators");
    let scratch = Scratch::new();
    let slot = installed.add(scratch.dir.as_fd(), 1, None).unwrap();
    let script = r"
import os, resource, time
pids = []
for i in range(499):
    if os.fork() == 0:
        fds = [os.open('/dev/null', 0) for _ in range(26)]
        time.sleep(1000)
print('go', flush=True)
time.sleep(1000)
";
    use std::io::BufRead as _;
    let mut child = std::process::Command::new("/bin/sh").args(["-c", "read go; exec python3 -c \"$1\"", "sh", script])
        .stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    std::fs::write(scratch.path.join("cgroup.procs"), child.id().to_string()).unwrap();
    use std::io::Write as _;
    child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let mut line = String::new();
    std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    std::thread::sleep(std::time::Duration::from_secs(3));
    for look in [ubc_bpf::Look::default(), ubc_bpf::Look { memory: true, files: false }, ubc_bpf::Look::ALL] {
        for _ in 0..5 {
            let started = std::time::Instant::now();
            let sight = observer.look(slot, look).unwrap();
            println!("{look:?} {:?} {sight:?}", started.elapsed());
        }
    }
    drop(scratch);
    child.wait().unwrap();
}
