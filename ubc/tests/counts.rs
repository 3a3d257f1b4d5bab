//! What a container reads in its own file is what ordinary tools count.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::collections::BTreeSet;
use std::process::Command;

use common::{Node, output};

/// The pids of a container on the host, by its cgroup.
fn pids(id: &str) -> Vec<String> {
    let suffix = format!("/ubc/{id}");
    let ps = output(Command::new("ps").args(["-e", "-o", "pid=,cgroup="]));
    let mine = ps.lines().filter(|line| line.contains(&suffix));
    mine.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}

/// Tasks of these processes, as ps lists threads.
fn tasks(pids: &[String]) -> u64 {
    let ps = output(Command::new("ps").args(["-L", "-o", "lwp=", "-p", &pids.join(",")]));
    ps.lines().count() as u64
}

/// The sum of the kilobytes in lines of a /proc file, over the processes.
fn kilobytes(pids: &[String], file: &str, keys: &[&str]) -> u64 {
    let texts = pids.iter().map(|pid| std::fs::read_to_string(format!("/proc/{pid}/{file}")));
    let texts: Vec<String> = texts.map(Result::unwrap).collect();
    let lines = texts.iter().flat_map(|text| text.lines());
    let wanted = lines.filter(|line| keys.iter().any(|key| line.starts_with(key)));
    wanted.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

/// Bytes of private writable mappings, from the maps.
fn private_writable(pids: &[String]) -> u64 {
    let mut bytes = 0;
    for pid in pids {
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        for line in maps.lines() {
            let mut words = line.split_whitespace();
            let (range, access) = (words.next().unwrap(), words.next().unwrap());
            if access.contains('w') && access.ends_with('p') {
                let (from, to) = range.split_once('-').unwrap();
                let number = |text| u64::from_str_radix(text, 16).unwrap();
                bytes += number(to) - number(from);
            }
        }
    }
    bytes
}

/// Files that are held by mappings: a program and its libraries.
fn mapped(pid: &str) -> u64 {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let files = maps.lines().filter_map(|line| line.split_whitespace().nth(5));
    files.filter(|file| file.starts_with('/')).collect::<BTreeSet<_>>().len() as u64
}

#[test]
fn no_row_differs_from_what_ordinary_tools_count() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000101";
    let mut container = node.container(id, &[]);
    let before = container.file();
    container
        .hold("files=7 shared=3 flocks=2 posix=2 ptys=3 tcp=2 udp=4 unix=5 threads=6 kib=4096");
    let file = container.file();
    // The reading above was taken with `cat` alive; tools count without it.
    let pids = pids(id);
    assert_eq!(pids.len(), 2, "the shell and hold");

    // Exactly what was opened, and nothing twice: hold adds its three
    // standard streams, of which it shares input with the shell's descriptor.
    assert_eq!(file.held("numtcpsock"), 2);
    assert_eq!(file.held("numothersock"), 4 + 5);
    assert_eq!(file.held("numflock"), 2 + 2);
    assert_eq!(file.held("numpty"), 3);
    assert_eq!(file.held("numproc"), tasks(&pids) + 1, "and cat");
    assert_eq!(file.held("numproc"), before.held("numproc") + 1 + 6);
    assert!(file.row("numproc")[1] >= file.held("numproc"));

    // lsof knows open files of each process; hold's own new ones are the
    // difference, plus its output file and the shell's fifo.
    let opened = 7 + 3 + 2 + 2 + 3 + 2 + 4 + 5;
    // Whoever counts where files are made also knows those that are mapped only.
    let status = &node.json(&["show", id, "--json"])["status"]["numfile"];
    let counted = status["metered_by"].as_str().unwrap().starts_with("bpf numfile");
    let hold = pids.iter().find(|pid| **pid != node.init(id)).unwrap();
    let mapped = if counted { mapped(hold) } else { 0 };
    assert_eq!(file.held("numfile") - before.held("numfile"), opened + 2 + mapped);
    let lsof =
        output(Command::new("lsof").args(["-w", "-a", "-p", &pids.join(","), "-d", "0-999"]));
    let descriptors = lsof.lines().skip(1).count() as u64;
    // lsof counts descriptors: 3 shared files twice, hold's standard input and
    // error, which it has from the shell; the file itself was open in cat.
    let most = descriptors + 2 + if counted { mapped + 2 } else { 0 };
    assert!(descriptors > opened && file.held("numfile") < most, "{lsof}");

    let locks = output(Command::new("lslocks").args(["-n", "-r", "-o", "PID"]));
    let mine = locks.lines().filter(|line| pids.iter().any(|pid| pid == line.trim())).count();
    assert_eq!(file.held("numflock"), mine as u64);

    let init = node.init(id);
    let ss = |args: &[&str]| {
        let mut command = Command::new("nsenter");
        let text = output(command.args(["-t", &init, "-n", "ss", "-H", "-a"]).args(args));
        text.lines().count() as u64
    };
    assert_eq!(file.held("numtcpsock"), ss(&["-t"]));
    assert_eq!(file.held("numothersock"), ss(&["-u", "-x", "-w", "-0"]));

    let ptys = container.sh("ls /dev/pts | grep -c '^[0-9]'");
    assert_eq!(file.held("numpty").to_string(), ptys);

    // Memory moves a little between two looks, and cat was there for one.
    let near = |name: &str, held: u64, counted: u64| {
        let slack = counted / 10 + 600;
        assert!(held.abs_diff(counted) < slack, "{name}: held {held}, counted {counted}");
        assert!(held > 0, "{name}");
    };
    near("privvmpages", file.held("privvmpages"), private_writable(&pids) / 4096);
    near("physpages", file.held("physpages"), kilobytes(&pids, "smaps_rollup", &["Pss:"]) / 4);
    // The 4 MiB that hold touched are in both, beyond any slack.
    assert!(file.held("privvmpages") >= before.held("privvmpages") + 1024);
    assert!(file.held("physpages") >= before.held("physpages") + 1024);
    assert_eq!(container.end(), Some(0));
}

#[test]
fn what_is_let_go_is_no_longer_held_but_remembered() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let mut container = node.container("90000102", &[]);
    container.hold("flocks=3 ptys=2 udp=5");
    assert_eq!(container.file().held("numothersock"), 5);
    // The only process inside whose name is hold.
    container.sh("kill $(pidof hold); wait; exec 9<&-");
    let file = container.file();
    for (row, peak) in [("numflock", 3), ("numpty", 2), ("numothersock", 5)] {
        assert_eq!(file.row(row)[..2], [0, peak], "{row}");
    }
    assert_eq!(container.end(), Some(0));
}
