//! numiptent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ubc_core::Resource::NumIptEnt;

use crate::Container;

/// A shell in a container and a network namespace of its own.
struct Shell {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Shell {
    fn start(container: &Container) -> Shell {
        let procs = container.scratch.path.join("cgroup.procs");
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("echo $$ > {}; exec unshare -n sh -s", procs.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let stdin = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        Shell { child, stdin, stdout }
    }

    /// Runs a line; whether it succeeded, and what it said.
    fn run(&mut self, line: &str) -> (bool, String) {
        writeln!(self.stdin, "{{ {line}\n}} 2>&1; echo; echo @$?@").expect("it listens");
        let mut said = String::new();
        loop {
            let before = said.len();
            assert!(self.stdout.read_line(&mut said).expect("readable") > 0, "the shell ended");
            if said[before..].starts_with('@') {
                said.truncate(before);
                break;
            }
        }
        let failed = ["rror", "allocate", "emory", "failed"].iter().any(|word| said.contains(word));
        (!failed, said)
    }

    fn does(&mut self, line: &str) -> String {
        let (done, said) = self.run(line);
        assert!(done, "{line}: {said}");
        said
    }

    fn refused(&mut self, line: &str) {
        let (done, said) = self.run(line);
        assert!(!done && said.contains("annot allocate memory"), "{line}: {said}");
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

#[test]
fn a_batch_is_refused_by_what_it_adds() {
    let test = "a_batch_is_refused_by_what_it_adds";
    if !installed("nft") {
        return println!("SKIP: {test}: no nft");
    }
    let Some(container) = Container::new(test) else { return };
    let mut shell = Shell::start(&container);
    let held = || container.count(NumIptEnt).held;
    container.limit(NumIptEnt, 5);
    shell.does("nft 'add table t; add chain t c; add chain t d'");
    shell.does("nft 'add rule t c counter; add rule t c counter; add rule t c counter'");
    shell.does("nft 'add rule t d counter; add rule t d counter'");
    assert_eq!(held(), 5, "the limit itself is allowed");
    shell.refused("nft add rule t c counter");
    assert_eq!((held(), container.count(NumIptEnt).failcnt), (5, 1));
    assert_eq!(shell.does("nft list ruleset").matches("counter").count(), 5);

    // As much as was there before, in one step.
    let five = "add rule t c counter; ".repeat(5);
    shell.does(&format!("nft 'flush table t; {five}'"));
    assert_eq!(held(), 5);
    shell.does(&format!("nft 'flush chain t c; {five}'"));
    assert_eq!(held(), 5);
    shell.does(&format!("nft 'flush ruleset; add table t; add chain t c; add chain t d; {five}'"));
    assert_eq!(held(), 5);
    shell.refused(&format!("nft 'flush ruleset; add table t; add chain t c; {five} {five}'"));
    assert_eq!(held(), 5);
    assert_eq!(container.count(NumIptEnt).maxheld, 5);

    // What is deleted twice makes room once.
    shell.refused(&format!("nft 'flush chain t c; flush chain t c; {five} {five}'"));
    assert_eq!((held(), container.count(NumIptEnt).failcnt), (5, 3));

    // One for one, by handle.
    shell.does("nft replace rule t c handle $(nft -a list chain t c | awk '/counter/{print $NF; exit}') drop");
    assert_eq!(held(), 5);
    shell.does(
        "nft delete rule t c handle $(nft -a list chain t c | awk '/counter/{print $NF; exit}')",
    );
    assert_eq!(held(), 4);

    // All or nothing.
    let (done, _) = shell.run("nft 'add rule t c counter; add rule t nowhere counter'");
    assert!(!done);
    assert_eq!(held(), 4, "an aborted batch");

    shell.does("nft delete table t");
    assert_eq!(held(), 0);
    shell.does(
        "nft 'add table t; add chain t c; add chain t x; add rule t c jump x; add rule t x drop'",
    );
    assert_eq!(held(), 2);
    println!("{:?}", container.count(NumIptEnt));
    drop(shell);
    // The network namespace ends with its last process.
    container.ends();
}

#[test]
fn iptables_of_both_kinds_are_refused() {
    let test = "iptables_of_both_kinds_are_refused";
    for program in ["iptables-legacy", "iptables-nft"] {
        if !installed(program) {
            println!("SKIP: {test}: no {program}");
            continue;
        }
        let Some(container) = Container::new(test) else { return };
        let mut shell = Shell::start(&container);
        let add = format!("{program} -A INPUT -p tcp --dport 80 -j ACCEPT");
        container.limit(NumIptEnt, 3);
        for rule in 1..=3 {
            shell.does(&add);
            assert_eq!(container.count(NumIptEnt).held, rule, "{program}");
        }
        let (done, said) = shell.run(&add);
        assert!(!done, "{program}: {said}");
        println!("{program}: {} {:?}", said.trim(), container.count(NumIptEnt));
        assert_eq!(container.count(NumIptEnt).held, 3);
        assert_eq!(container.count(NumIptEnt).maxheld, 3);
        assert_eq!(container.count(NumIptEnt).failcnt, 1);
        shell.does(&format!("{program} -D INPUT 1"));
        assert_eq!(container.count(NumIptEnt).held, 2);
        shell.does(&format!("{program} -F"));
        assert_eq!(container.count(NumIptEnt).held, 0);
        shell.does(&add);
        drop(shell);
        // A file that it made on a tmpfs is its own as long as the file is there.
        let _ = std::fs::remove_file("/run/xtables.lock");
        container.ends();
    }
}
