//! At a limit the kernel refuses, and the container can read why.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::io::{BufRead as _, BufReader, Read};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use common::{Container, Node};

/// How long a daemon may take to begin anew.
const PATIENCE: Duration = Duration::from_mins(3);

#[test]
fn the_process_over_numproc_is_refused_and_each_refusal_is_counted() {
    if common::skip() || !common::imposes("numproc") {
        return;
    }
    let node = Node::start();
    let id = "90000401";
    let mut container = node.container(id, &["--numproc", "12"]);
    container.install_hold();
    assert_eq!(container.file().row("numproc")[2..], [12, 12, 0]);

    // One thread after another until one is refused; hold ends then.
    let storm = "hold threads=50 2>&1 </dev/null";
    let said = container.sh(storm);
    // The shell, hold's main thread, and so ten threads more.
    assert_eq!(said, "hold: threads 10: Resource temporarily unavailable (os error 11)");
    assert_eq!(container.file().row("numproc")[1..], [12, 12, 12, 1]);

    node.done(&["set", id, "--numproc", "20"]);
    let said = container.sh(storm);
    assert!(said.starts_with("hold: threads 18: "), "{said}");
    assert_eq!(container.file().row("numproc")[1..], [20, 20, 20, 2]);

    // Below what is held: nobody dies, nothing new starts.
    container.hold("threads=3");
    node.done(&["set", id, "--numproc", "2"]);
    let shown = node.json(&["show", id, "--json"]);
    let row = &shown["reading"]["rows"]["numproc"];
    assert_eq!([&row["held"], &row["limit"]], [5, 2]);
    // No builtin can read the file's rows, but the shell itself can.
    let row = container.sh("while read a b c d e f; do [ \"$a\" = numproc ] && echo $b $f; done \
                            </proc/user_beancounters");
    assert_eq!(row, "5 2");
    node.done(&["set", id, "--numproc", "unlimited"]);
    assert!(container.file().row("numproc")[4] >= 2);
}

#[test]
fn the_program_over_physpages_dies_and_the_kill_is_counted() {
    if common::skip() || !common::imposes("physpages") {
        return;
    }
    let node = Node::start();
    let id = "90000402";
    let limits = ["--physpages", "0:48M", "--swappages", "0:0"];
    let mut container = node.container(id, &limits);
    container.install_hold();
    let limit = 48 * 256;
    assert_eq!(container.file().row("physpages")[2..], [0, limit, 0]);

    assert_eq!(container.sh("hold kib=16384 </dev/null; echo $?"), "holding\n0");
    assert_eq!(container.file().row("oomguarpages")[4], 0);
    assert_eq!(container.sh("hold kib=131072 </dev/null 2>/dev/null; echo $?"), "137");
    let file = container.file();
    let [held, maxheld, _, _, failcnt] = file.row("physpages");
    assert!(held < limit && failcnt > 0, "{held} {failcnt}");
    // As far as it could get, where the kernel remembers (memory.peak).
    assert!(maxheld <= limit && maxheld > limit / 2, "{maxheld}");
    assert_eq!(file.row("oomguarpages")[4], 1, "one kill");

    // With more, the same program lives.
    node.done(&["set", id, "--physpages", "0:256M"]);
    assert_eq!(container.sh("hold kib=131072 </dev/null; echo $?"), "holding\n0");
    assert_eq!(container.file().row("oomguarpages")[4], 1);
}

#[test]
fn a_guarantee_is_handed_to_the_kernel_and_shown() {
    if common::skip() || !common::imposes("physpages") {
        return;
    }
    let node = Node::start();
    let id = "90000403";
    let mut container = node.container(id, &["--oomguarpages", "8M:unlimited"]);
    let unlimited = i64::MAX as u64;
    assert_eq!(container.file().row("oomguarpages")[2..4], [2048, unlimited]);
    let shown = node.json(&["show", id, "--json"]);
    assert_eq!(
        shown["status"]["oomguarpages"]["enforced_by"],
        "guarantee: memory.low, oom_score_adj"
    );
}

/// Limits that each leave room for a few, and how the row must answer.
const PROGRAMS: [(&str, &str, &str); 11] = [
    ("numfile", "64", "Too many open files in system (os error 23)"),
    ("numflock", "16", "No locks available (os error 37)"),
    ("numpty", "4", "Cannot allocate memory (os error 12)"),
    ("numtcpsock", "8", "No buffer space available (os error 105)"),
    ("numothersock", "8", "Cannot allocate memory (os error 12)"),
    ("privvmpages", "100000", "Cannot allocate memory (os error 12)"),
    // runc starts as a copy of itself in a memfd, for which the container may pay.
    ("shmpages", "4096", "No space left on device (os error 28)"),
    ("tcpsndbuf", "262144:524288", "Resource temporarily unavailable (os error 11)"),
    ("othersockbuf", "32768:65536", "Resource temporarily unavailable (os error 11)"),
    ("dgramrcvbuf", "32768", "dropped without an error"),
    // What a container has in a program or two, and room for a few hundred objects.
    ("kmemsize", "16M:24M", "Cannot allocate memory (os error 12)"),
];

#[test]
fn a_row_that_programs_refuse_answers_as_openvz_did_and_counts_it() {
    if common::skip() || !common::imposes("numfile") {
        return;
    }
    let node = Node::start();
    let id = "90000404";
    let rows: Vec<_> = PROGRAMS.iter().filter(|(row, ..)| common::imposes(row)).collect();
    let options: Vec<String> =
        rows.iter().map(|(row, limit, _)| format!("--{row}={limit}")).collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut container = node.container(id, &options);
    container.install("refused");
    for (row, _, answer) in rows {
        let said = container.sh(&format!("refused {row} 2>&1"));
        assert!(said.contains(&format!("then: {answer}; ")), "{row}: {said}");
        let [held, maxheld, barrier, limit, failcnt] = container.file().row(row);
        assert!(failcnt >= 1 && maxheld <= limit && held <= barrier, "{row}: {said}");
        // Counts end at the limit itself, and nothing stays behind.
        if row.starts_with("num") {
            assert_eq!(maxheld, limit, "{row}: {said}");
        }
    }
}

/// What somebody says, line by line.
fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Nobody may want it any more.
            drop(tell.send(line));
        }
    });
    told
}

/// Has the container refused a pty, and is told so.
fn told(container: &mut Container, lines: &Receiver<String>) -> String {
    container.sh("refused numpty");
    lines.recv_timeout(PATIENCE).expect("it is told")
}

#[test]
fn whoever_watches_or_asks_later_is_told_of_a_refusal_and_by_whom() {
    if common::skip() || !common::imposes("numfile") {
        return;
    }
    let node = Node::start();
    let id = "90000405";
    let mut container = node.container(id, &["--numpty", "2"]);
    container.install("refused");
    let record = node.record("1s");
    let alert = node.dir.path().join("alert");
    let exec = format!("echo $UBC_CTID $UBC_RESOURCE $UBC_COMM >>{}", alert.display());
    let mut watch = node.command(&["watch", id, "--json", "--exec", &exec]);
    let mut watch = common::started(watch.stdout(Stdio::piped()));
    let lines = lines_of(watch.stdout.take().unwrap());
    let line = told(&mut container, &lines);
    let refusal: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(refusal["id"].to_string(), id);
    assert_eq!(refusal["resource"], "numpty");
    assert_eq!(refusal["comm"], "refused");
    assert_eq!([&refusal["asked"], &refusal["held"], &refusal["limit"]], [1, 2, 2]);
    let run = || std::fs::read_to_string(&alert).unwrap_or_default();
    common::wait_until("--exec", || run().starts_with(&format!("{id} numpty refused\n")));
    watch.kill().unwrap();
    watch.wait().unwrap();

    // Its end makes the recorder read once more.
    drop(record);
    let failcnt = container.file().row("numpty")[4];
    let summary = node.json(&["replay", id, "--json"]);
    assert_eq!([&summary["id"], &summary["resource"]], [&refusal["id"], &refusal["resource"]]);
    assert_eq!(summary["times"], failcnt, "{summary}");
    assert_eq!(summary["by"].as_object().unwrap().keys().collect::<Vec<_>>(), ["refused"]);
    assert!(summary["first"].as_f64() <= refusal["time"].as_f64(), "{summary}");
    let text = node.done(&["replay", "--from", "1h", id]);
    assert!(text.lines().nth(1).unwrap().ends_with("  refused"), "{text}");
}

#[test]
fn who_watches_or_records_is_told_of_what_was_refused_between_two_daemons() {
    if common::skip() || !common::imposes("numpty") {
        return;
    }
    let mut node = Node::start();
    let id = "90000407";
    let mut container = node.container(id, &["--numpty", "2"]);
    container.install("refused");
    let mut watch = node.command(&["watch", id]);
    let mut watch = common::started(watch.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let lines = lines_of(watch.stdout.take().unwrap());
    let warnings = lines_of(watch.stderr.take().unwrap());
    let record = node.record("1s");
    for _ in 0..2 {
        let (daemon, holder) = (node.daemon_pid(), node.holder_pid());
        // Nobody begins the next one until then.
        common::signal("STOP", holder);
        common::signal("KILL", daemon);
        // By the shell: who starts a program looks into /proc, and waits for the next daemon.
        for _ in 0..2 {
            container.sh("(exec 3<>/dev/ptmx 4<>/dev/ptmx 5<>/dev/ptmx) 2>&- || true");
        }
        common::signal("CONT", holder);
        let warning = warnings.recv_timeout(PATIENCE).unwrap();
        assert!(warning.contains("the daemon began anew"), "{warning}");
        for _ in 0..2 {
            let line = lines.recv_timeout(PATIENCE).expect("it is told, if later");
            assert!(line.contains(&format!("container {id}: numpty refused, limit 2, ")), "{line}");
        }
        told(&mut container, &lines);
    }
    let failcnt = container.file().row("numpty")[4];
    assert_eq!(failcnt, 6);
    let recorded = || {
        let told = node.ubc(&["replay", id, "--json"]).stdout;
        let told: serde_json::Value = serde_json::from_slice(&told).unwrap_or_default();
        told["times"].as_u64()
    };
    common::wait_until("the record", || recorded() == Some(failcnt));
    drop(record);
    assert_eq!(recorded(), Some(failcnt), "told once each");
    assert_eq!(container.end(), Some(0));
    node.stop_daemon();
    assert!(watch.wait().unwrap().success());
    assert_eq!(warnings.iter().count(), 0);
}
