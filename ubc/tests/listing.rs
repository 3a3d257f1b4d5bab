//! `ubc list` and `ubc show`: fields, order, colours.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use std::process::Command;

use common::pty::Terminal;
use common::{Node, UBC, text};

#[test]
fn fields_order_and_heads_are_those_asked_for() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let etc = node.dir.path().join("etc");
    std::fs::create_dir_all(etc.join("conf")).unwrap();
    let conf = |id: &str, text: &str| {
        std::fs::write(etc.join("conf").join(format!("{id}.conf")), text).unwrap();
    };
    let (one, two, stopped) = ("90000331", "90000332", "90000333");
    conf(two, "HOSTNAME=\"web\u{1b}[2J\"\nNUMFLOCK=\"77:99\"\n");
    conf(stopped, "HOSTNAME=\"old\"\n");
    let option = format!("--config-dir={}", etc.display());
    let list = |args: &[&str]| node.done(&[&["list", &option], args].concat());
    let _one = node.container(one, &[&option, "--numflock", "500"]);
    let mut second = node.container(two, &[&option]);
    second.sh("sleep 1000 & sleep 1000 &");

    assert_eq!(list(&["-1"]), format!("{one}\n{two}\n"));
    assert_eq!(list(&["-1", "-s", "-ctid"]), format!("{two}\n{one}\n"));
    assert_eq!(list(&["-1", "-s", "-numproc"]), format!("{two}\n{one}\n"));
    assert_eq!(list(&["-1", "-a"]), format!("{one}\n{two}\n{stopped}\n"));
    assert_eq!(
        list(&["-H", "-S", "-o", "veid,status,hostname,numproc.l"]),
        format!("{stopped}  stopped  old  -\n")
    );
    assert_eq!(list(&["-H", "-o", "ctid", two]), format!("{two}\n"));
    let shown = list(&["-o", "ctid,numproc,hostname,numproc.f"]);
    let lines: Vec<&str> = shown.lines().collect();
    let head: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(head, ["CTID", "NPROC", "HOSTNAME", "NPROC.F"]);
    assert!(lines[2].starts_with(&format!("{two}      3  web\\u{{1b}}[2J ")), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");

    let error = node.ubc(&["list", "-o", "ctid,numporc"]);
    assert_eq!(error.status.code(), Some(64));
    assert!(text(&error.stderr).contains("did you mean numproc?"), "{}", text(&error.stderr));
    assert_eq!(node.ubc(&["list", "-1", "90000339"]).status.code(), Some(66));
}

#[test]
fn colours_and_bars_are_for_terminals_and_plain_text_for_pipes() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let id = "90000334";
    let mut container = node.container(id, &["--oomguarpages", "1:unlimited"]);
    container.sh("true");
    let piped = node.done(&["show", id]);
    assert!(piped.starts_with("container 90000334  init "), "{piped}");
    let head = piped.lines().find(|line| line.starts_with("resource ")).unwrap();
    assert_eq!(
        head.split_whitespace().take(7).collect::<Vec<_>>(),
        ["resource", "held", "use", "maxheld", "barrier", "limit", "failcnt"]
    );
    assert!(!piped.contains('\u{1b}'), "{piped:?}");
    let terminal = Terminal::start(node.command(&["show", id]));
    terminal.wait_for("iopslimit");
    assert!(terminal.raw().contains("\u{1b}["), "no colour on a terminal");
    assert!(terminal.end().success());
}

#[test]
fn what_a_package_installs_is_made_by_the_program() {
    let done = |args: &[&str]| {
        let output = Command::new(UBC).args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    for shell in ["bash", "zsh", "fish"] {
        let script = done(&["completions", shell]);
        assert!(script.contains("numtcpsock") && script.contains("import-vz"), "{shell}");
    }
    let syntax =
        Command::new("bash").args(["-n", "/dev/stdin"]).stdin(std::process::Stdio::piped()).spawn();
    let mut syntax = syntax.unwrap();
    let script = done(&["completions", "bash"]);
    std::io::Write::write_all(&mut syntax.stdin.take().unwrap(), script.as_bytes()).unwrap();
    assert!(syntax.wait().unwrap().success());
    assert!(done(&["man"]).contains("Exit codes"));
    let dir = tempfile::tempdir().unwrap();
    done(&["man", dir.path().to_str().unwrap()]);
    for page in ["ubc.1", "ubc-set.1", "ubc-list.1", "ubc-import-vz.1"] {
        let page = std::fs::read_to_string(dir.path().join(page)).unwrap();
        assert!(page.contains(".TH"), "{page}");
    }
    assert!(!dir.path().join(format!("ubc-{}.1", "exec-with-cgroup2")).exists());
    assert!(done(&["list", "-L"]).contains("numproc.f       NPROC.F\n"));
}

#[test]
fn top_shows_rows_live_and_gives_the_terminal_back() {
    if common::skip() {
        return;
    }
    let node = Node::start();
    let (id, other) = ("90000335", "90000336");
    let mut container = node.container(id, &["--numproc", "10"]);
    let mut terminal = Terminal::start(node.command(&["top", "-d", "0.1"]));
    terminal.wait_for("ubc top: 1 containers, every 0.1 s, by USE% falling");
    terminal.wait_for("90000335 numproc");
    terminal.press("a");
    terminal.wait_for("numsiginfo");
    terminal.press("h");
    terminal.wait_for("Reversed: refused just now");
    terminal.press("h<");
    terminal.wait_for("by HELD falling");
    let second = node.container(other, &[]);
    terminal.wait_for("2 containers");
    assert_eq!(second.end(), Some(0));
    terminal.wait_for("1 containers");
    terminal.press("a>");
    if common::imposes("numproc") {
        // A shell that cannot fork ends; this one is another's child.
        container
            .sh("(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1000 & done) 2>/dev/null; true");
        common::wait_until("a flash", || terminal.flashed());
    }
    terminal.press("q");
    common::wait_until("the other screen's end", || terminal.raw().contains("\u{1b}[?1049l"));
    assert!(terminal.end().success());

    let output = node.ubc(&["top"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("needs a terminal"), "{}", text(&output.stderr));
    assert_eq!(node.ubc(&["top", "-d", "0"]).status.code(), Some(64));
}
