//! Rows that live in the container's own namespaces: rules, shared memory.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::time::{Duration, Instant};

use common::{Container, change, held};
use ubc_core::Resource::{NumIptEnt, NumProc, PrivvmPages, ShmPages};

fn has(tool: &str) -> bool {
    let found = std::process::Command::new(tool).arg("--version").output().is_ok();
    if !found {
        common::skip(format_args!("no {tool} on this machine"));
    }
    found
}

#[test]
fn nf_tables_rules_are_counted_whatever_is_in_them() {
    let Some(container) = Container::new() else { return };
    if !has("nft") {
        return;
    }
    let mut meters = container.meters();
    let mut actor = container.python(
        &["unshare", "-n"],
        r#"
import subprocess
stage()
rules = 'table inet t {\n set s { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 } }\n chain a {\n'
rules += '  ip saddr @s counter drop comment "' + 'x' * 100 + '"\n' * 1
rules += ''.join('  tcp dport %d accept\n' % n for n in range(1, 301))
rules += '}\n chain b { type filter hook input priority 0; jump a\n udp dport vmap { 1 : accept, 2 : drop }\n}\n}\n'
rules += 'table ip6 u {\n chain c {\n counter\n counter\n}\n}\n'
subprocess.run(['nft', '-f', '-'], input=rules.encode(), check=True)
stage()
subprocess.run(['nft', 'delete', 'table', 'ip6', 'u'], check=True)
stage()
"#,
    );
    assert_eq!(change(&mut meters, &mut actor, NumIptEnt), 0);
    assert_eq!(held(&meters.read().unwrap(), NumIptEnt), 0);
    assert_eq!(change(&mut meters, &mut actor, NumIptEnt), 1 + 300 + 2 + 2);
    assert_eq!(change(&mut meters, &mut actor, NumIptEnt), -2);
}

#[test]
fn legacy_iptables_entries_are_counted_with_policies_and_end() {
    let Some(container) = Container::new() else { return };
    if !has("iptables-legacy") {
        return;
    }
    let mut meters = container.meters();
    let mut actor = container.python(
        &["unshare", "-n"],
        r"
import subprocess
def run(*words): return subprocess.run(words, stderr=subprocess.DEVNULL).returncode
stage()
failed = run('iptables-legacy', '-w', '-A', 'INPUT', '-s', '10.1.1.1', '-j', 'DROP')
failed |= run('iptables-legacy', '-w', '-A', 'INPUT', '-s', '10.1.1.2', '-j', 'DROP')
stage(failed)
run('ip6tables-legacy', '-w', '-A', 'INPUT', '-s', '::1', '-j', 'DROP')
stage()
",
    );
    assert_eq!(change(&mut meters, &mut actor, NumIptEnt), 0);
    let added = change(&mut meters, &mut actor, NumIptEnt);
    if actor.facts != ["0"] {
        common::skip("iptables-legacy does not work on this kernel");
        return;
    }
    assert_eq!(added, 2 + 3 + 1, "two rules, three policies, the error entry");
    assert_eq!(change(&mut meters, &mut actor, NumIptEnt), 1 + 3 + 1);
}

#[test]
fn rules_of_the_hosts_network_are_not_the_containers() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let _actor = container.python(&[], "");
    assert_eq!(meters.read().unwrap()[NumIptEnt].held, None);
    assert_eq!(meters.metered()[NumIptEnt].to_string(), "absent: network namespace is the host's");
}

#[test]
fn system_v_segments_count_at_their_whole_size_in_their_own_namespace() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &["unshare", "-i"],
        r"
libc = ctypes.CDLL(None)
stage()
ids = [libc.shmget(0, (1 << 20) + 1, 0o1600) for _ in range(3)]
stage(*ids)
libc.shmctl(ids[0], 0, None)
stage()
",
    );
    let pages = i64::try_from(((1 << 20) + 1usize).div_ceil(rustix::param::page_size())).unwrap();
    assert_eq!(change(&mut meters, &mut actor, ShmPages), 0);
    let private = held(&meters.read().unwrap(), PrivvmPages);
    assert_eq!(change(&mut meters, &mut actor, ShmPages), 3 * pages);
    let with_shm = held(&meters.read().unwrap(), PrivvmPages);
    assert!(with_shm - private >= 3 * pages.unsigned_abs(), "042stab adds it to privvmpages");
    assert_eq!(change(&mut meters, &mut actor, ShmPages), -pages);
}

#[test]
fn a_tmpfs_of_the_container_counts_and_the_hosts_does_not() {
    let Some(container) = Container::new() else { return };
    let mut meters = container.meters();
    let mut actor = container.python(
        &["unshare", "-m"],
        r"
import subprocess, tempfile
stage()
where = tempfile.mkdtemp()
subprocess.run(['mount', '-t', 'tmpfs', 'none', where], check=True)
open(where + '/f', 'wb').write(b'x' * (1 << 20))
# The same file system once more is not more memory.
again = tempfile.mkdtemp()
subprocess.run(['mount', '--bind', where, again], check=True)
stage()
",
    );
    actor.next();
    let pages = i64::try_from((1 << 20) / rustix::param::page_size()).unwrap();
    let grown = change(&mut meters, &mut actor, ShmPages);
    if container.host.has_controller("memory") {
        // All shared memory the processes were first to touch is in it.
        assert!((pages..pages + 256).contains(&grown), "{grown}");
    } else {
        assert_eq!(grown, pages);
    }
}

#[test]
fn a_fuse_server_that_never_answers_does_not_stop_the_reading() {
    let Some(container) = Container::new() else { return };
    if !container.host.capabilities().fuse {
        common::skip("no /dev/fuse on this machine");
        return;
    }
    let mut meters = container.meters();
    let mut actor = container.python(
        &["unshare", "-m"],
        r"
import subprocess, tempfile
where = tempfile.mkdtemp()
os.mkdir(where + '/deep')
subprocess.run(['mount', '-t', 'tmpfs', 'none', where + '/deep'], check=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
libc = ctypes.CDLL(None)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0' % fuse
stage(libc.mount(b'trap', where.encode(), b'fuse', 0, options))
",
    );
    meters.read().unwrap();
    actor.next();
    assert_eq!(actor.facts, ["0"], "the trap could not be set");
    let start = Instant::now();
    let rows = meters.read().unwrap();
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(held(&rows, NumProc), 1);
    if container.host.has_controller("memory") {
        common::skip("the memory controller counts shmpages, no mount is asked");
        return;
    }
    assert_eq!(rows[ShmPages].held, None);
    assert!(meters.metered()[ShmPages].to_string().starts_with("absent: a tmpfs"));
    let start = Instant::now();
    meters.read().unwrap();
    assert!(start.elapsed() < Duration::from_millis(400), "no second thread waits");
}
