//! The programs people look at processes with, in a container with the view.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Container, attached, installed, skip};
use ubc_procfs::{ContainerProcess, ProcView};

/// A container with a view, in which a program called `ubcmark` runs.
struct Marked {
    container: Container,
    _view: (ProcView, ContainerProcess),
    pid: String,
}

fn marked(programs: &[&str]) -> Option<Marked> {
    if skip() || !installed(programs) {
        return None;
    }
    let container = Container::start(&[]);
    let view = attached(&container);
    let script = "d=$(mktemp -d) && cp /bin/sleep $d/ubcmark && cd /mnt
        $d/ubcmark 600 >$d/out 2>&1 & pid=$!
        until grep -qx ubcmark /proc/$pid/comm; do :; done; echo $pid; rm -r $d";
    let pid = container.sh(&format!("mount -t tmpfs none /tmp; {script}")).unwrap();
    Some(Marked { container, _view: view, pid: pid.trim().to_owned() })
}

#[test]
fn ps_shows_every_process_with_its_state() {
    let Some(marked) = marked(&["ps"]) else { return };
    let text = marked.container.sh("ps -eo pid=,stat=,args= --forest; ps aux | wc -l").unwrap();
    let line = text.lines().find(|line| line.contains("ubcmark")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!((words[0], &words[1][..1]), (&*marked.pid, "S"), "{text}");
    assert!(text.lines().any(|line| line.trim_start().starts_with("1 ")), "{text}");
    let threads = marked.container.sh(&format!("ps -L -o lwp= -p {}", marked.pid)).unwrap();
    assert_eq!(threads.trim(), marked.pid);
}

#[test]
fn top_shows_every_process() {
    let Some(marked) = marked(&["top"]) else { return };
    let text = marked.container.sh("TERM=dumb top -b -n1 -w200").unwrap();
    assert!(text.contains("ubcmark") && text.contains("Mem"), "{text}");
}

#[test]
fn htop_shows_every_process_on_a_terminal() {
    let Some(marked) = marked(&["htop", "script"]) else { return };
    let script = "{ sleep 3; printf q; } | script -qec 'stty rows 60 cols 200; htop --no-color' \
                  /dev/null";
    let text = marked.container.sh(&format!("export TERM=xterm HOME=/tmp; {script}")).unwrap();
    assert!(text.contains("ubcmark") && text.contains("Load average"), "{text}");
}

#[test]
fn pgrep_and_pidof_find_a_process_by_name() {
    let Some(marked) = marked(&["pgrep"]) else { return };
    for command in ["pgrep -x ubcmark", "pgrep -f '^/[^ ]*/ubcmark 600'", "pgrep -n ubcmark"] {
        assert_eq!(marked.container.sh(command).unwrap().trim(), marked.pid, "{command}");
    }
    if installed(&["pidof"]) {
        assert_eq!(marked.container.sh("pidof ubcmark").unwrap().trim(), marked.pid);
    }
    // Nobody waits for it, so it stays, as a zombie.
    let script = format!(
        "pkill -x ubcmark; until grep -q '^State:.Z' /proc/{}/status; do :; done",
        marked.pid
    );
    marked.container.sh(&script).unwrap();
}

#[test]
fn lsof_and_fuser_see_what_a_process_has_open() {
    let Some(marked) = marked(&["lsof"]) else { return };
    let text = marked.container.sh(&format!("lsof -w -p {}", marked.pid)).unwrap();
    for what in [" cwd ", "/mnt", " rtd ", " txt ", "/ubcmark", " 1w ", "/out"] {
        assert!(text.contains(what), "{what}: {text}");
    }
    if installed(&["fuser"]) {
        let users = marked.container.sh("fuser -m /mnt 2>/dev/null; true").unwrap();
        assert!(users.split_whitespace().any(|pid| pid.contains(&marked.pid)), "{users}");
    }
}

#[test]
fn strace_attaches_and_names_files_of_descriptors() {
    let Some(marked) = marked(&["strace", "timeout"]) else { return };
    let script = "sh -c 'while :; do echo x >/dev/null; sleep 0.1; done' & pid=$!
        timeout -s INT 3 strace -f -y -p $pid -o /tmp/trace; kill $pid; cat /tmp/trace; \
        strace -e trace=readlink,readlinkat readlink /proc/self 2>&1";
    let text = marked.container.sh(script).unwrap();
    assert!(text.contains("/dev/null>"), "{text}");
    assert!(text.contains("\"/proc/self\""), "{text}");
}

#[test]
fn nsenter_enters_the_namespaces_and_the_root_of_a_process() {
    let Some(marked) = marked(&["nsenter"]) else { return };
    let script = "unshare --mount --uts sh -c 'hostname ubcmark; mount -t tmpfs none /mnt
            echo there >/mnt/only; echo >/tmp/up; exec sleep 600' & pid=$!
        until [ -e /tmp/up ]; do :; done; mkdir /tmp/proc
        nsenter -t $pid -m -u sh -c 'hostname; cat /mnt/only'
        for p in /proc /proc/.proc; do
            nsenter --root=$p/$pid/root cat /mnt/only >/tmp$p.said 2>&1
        done
        cmp /tmp/proc.said /tmp/proc/.proc.said && echo as native
        [ -e /mnt/only ] || echo not here
        readlink /proc/$pid/ns/uts | cmp -s - /proc/.proc/$pid/ns/uts; kill $pid";
    let text = marked.container.sh(script).unwrap();
    assert_eq!(text, "ubcmark\nthere\nas native\nnot here\n");
}

#[test]
fn a_runtime_inside_makes_containers_of_its_own() {
    for runtime in ["runc", "crun"] {
        let Some(marked) = marked(&[runtime, "busybox"]) else { return };
        // Cgroups are the outer runtime's business; here there is none.
        let script = format!(
            "mkdir -p /tmp/b/rootfs/bin /tmp/b/rootfs/proc && cd /tmp/b
            cp $(command -v busybox) rootfs/bin/busybox && {runtime} spec
            sed -i 's/\"terminal\": true/\"terminal\": false/; s/\"sh\"/\"busybox\",\"sh\",\"-c\",\
                \"cat \\/proc\\/1\\/comm; ls \\/proc\"/' config.json
            {runtime} --root /tmp/b/state run ubcnested-{pid} </dev/null",
            pid = std::process::id()
        );
        let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        if !unified {
            println!("SKIP: {runtime} inside a container: needs a unified cgroup hierarchy");
            return;
        }
        let text = marked.container.sh(&script).unwrap();
        assert!(text.starts_with("busybox\n1\n") && text.contains("\nself\n"), "{text}");
        assert!(!text.contains("user_beancounters"), "a procfs of its own: {text}");
    }
}

#[test]
fn a_sandbox_of_bubblewrap_works_as_on_a_native_proc() {
    let Some(marked) = marked(&["bwrap"]) else { return };
    for options in
        ["--dev-bind / /", "--ro-bind / / --proc /proc --dev /dev --unshare-pid", "--ro-bind / /"]
    {
        let script = format!("bwrap {options} readlink /proc/self 2>&1");
        let said = marked.container.sh(&script).unwrap_or_else(|error| panic!("{error}"));
        assert!(said.trim().parse::<u32>().is_ok(), "{options}: {said}");
    }
}
