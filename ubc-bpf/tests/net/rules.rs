//! numiptent.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
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
        Shell::start_in(&container.scratch.path, "unshare -n")
    }

    /// In a network namespace that `how` chooses.
    fn start_in(cgroup: &Path, how: &str) -> Shell {
        let procs = cgroup.join("cgroup.procs");
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(format!("echo $$ > {}; exec {how} sh -s", procs.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // One of its own: what we share with it would outlive it.
            .stderr(Stdio::null())
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

    /// What takes a command into its network namespace.
    fn network(&self) -> String {
        format!("nsenter --net=/proc/{}/ns/net", self.child.id())
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

/// A container that nobody knows yet.
fn unknown(test: &str) -> Option<Container> {
    let container = Container::new(test)?;
    container.enforcer.remove(container.slot).expect("removed");
    Some(container)
}

/// Takes it over.
fn adopted(container: Container) -> Container {
    let slot = container.enforcer.add(container.scratch.dir.as_fd(), 101, None).expect("a place");
    assert_eq!(container.enforcer.held(slot, NumIptEnt), 0, "nobody has looked yet");
    container.enforcer.seed(slot).expect("seeded");
    Container { slot, ..container }
}

#[test]
fn rules_from_before_a_takeover_count_and_are_given_back() {
    let test = "rules_from_before_a_takeover_count_and_are_given_back";
    if !installed("nft") {
        return println!("SKIP: {test}: no nft");
    }
    let Some(container) = unknown(test) else { return };
    let mut shell = Shell::start(&container);
    shell.does(
        "nft 'add table t; add chain t c; add chain t d; add table ip6 u; add chain ip6 u c'",
    );
    let three = "add rule t c counter; ".repeat(3);
    shell.does(&format!("nft '{three} add rule t d counter; add rule ip6 u c drop'"));
    // A chain without a name.
    shell.does("nft 'add rule t d tcp dport 22 jump { counter; drop; }'");
    let container = adopted(container);
    let held = || container.count(NumIptEnt).held;
    assert_eq!(held(), 8);
    container.enforcer.seed(container.slot).expect("seeded again");
    assert_eq!(held(), 8, "looked at twice");
    assert_eq!(container.count(NumIptEnt).maxheld, 8);

    container.limit(NumIptEnt, 8);
    shell.refused("nft add rule t c counter");
    assert_eq!((held(), container.count(NumIptEnt).failcnt), (8, 1));
    // They pay for what takes their place, as any others.
    shell.does(&format!("nft 'flush chain t c; {three}'"));
    assert_eq!(held(), 8);
    let (done, _) = shell.run("nft 'flush chain t d; add rule t nowhere counter'");
    assert!(!done);
    assert_eq!(held(), 8, "an aborted batch");

    shell.does("nft delete rule t d handle $(nft -a list chain t d | awk '/} # h/{print $NF}')");
    container.settles(NumIptEnt, 5);
    shell.does("nft flush chain t d");
    assert_eq!(held(), 4);
    shell.does("nft delete table t");
    assert_eq!(held(), 1);
    drop(shell);
    // The last one goes with the network namespace.
    container.ends();
}

#[test]
fn iptables_of_both_kinds_from_before_count_and_are_given_back() {
    let test = "iptables_of_both_kinds_from_before_count_and_are_given_back";
    for kind in ["legacy", "nft"] {
        let (four, six) = (format!("iptables-{kind}"), format!("ip6tables-{kind}"));
        if !installed(&four) {
            println!("SKIP: {test}: no {four}");
            continue;
        }
        let Some(container) = unknown(test) else { return };
        let mut shell = Shell::start(&container);
        let add = format!("{four} -A INPUT -p tcp --dport 80 -j ACCEPT");
        shell.does(&format!("{add}; {add}; {four} -N x"));
        shell.does(&format!("{four} -t nat -A OUTPUT -j RETURN; {six} -A INPUT -j DROP"));
        // Entries that only close a table or a chain.
        shell.does(&format!("{four} -t mangle -L"));
        // Where chains are made of entries, one opens it and one closes it.
        let chain = if kind == "legacy" { 2 } else { 0 };
        let container = adopted(container);
        let held = || container.count(NumIptEnt).held;
        assert_eq!(held(), 4 + chain, "{kind}");
        container.enforcer.seed(container.slot).expect("seeded again");
        assert_eq!(held(), 4 + chain, "{kind}");

        container.limit(NumIptEnt, 5 + chain);
        shell.does(&add);
        assert_eq!(held(), 5 + chain, "{kind}");
        let (done, said) = shell.run(&add);
        assert!(!done, "{kind}: {said}");
        assert_eq!((held(), container.count(NumIptEnt).failcnt), (5 + chain, 1), "{kind}");
        shell.does(&format!("{four} -D INPUT 1"));
        assert_eq!(held(), 4 + chain, "{kind}");
        shell.does(&format!("{four} -F; {four} -X"));
        assert_eq!(held(), 2, "{kind}");
        shell.does(&format!("{six} -F"));
        assert_eq!(held(), 1, "{kind}");
        drop(shell);
        // A file that it made on a tmpfs is its own as long as the file is there.
        let _ = std::fs::remove_file("/run/xtables.lock");
        container.ends();
    }
}

#[test]
fn a_rule_that_two_cgroups_see_counts_once() {
    let test = "a_rule_that_two_cgroups_see_counts_once";
    if !installed("nft") {
        return println!("SKIP: {test}: no nft");
    }
    let Some(container) = unknown(test) else { return };
    let inner = container.scratch.path.join("inner");
    std::fs::create_dir(&inner).expect("a cgroup");
    let mut shell = Shell::start(&container);
    shell.does("nft 'add table t; add chain t c; add rule t c counter; add rule t c drop'");
    let mut other = Shell::start_in(&inner, &shell.network());
    assert!(other.does("nft list ruleset").contains("drop"), "the same network");
    // And one with a network of its own.
    let mut third = Shell::start_in(&inner, "unshare -n");
    third.does("nft 'add table t; add chain t c; add rule t c counter'");
    let container = adopted(container);
    assert_eq!(container.count(NumIptEnt).held, 3);
    drop(shell);
    other.does("nft flush ruleset");
    assert_eq!(container.count(NumIptEnt).held, 1);
    drop((other, third));
    container.settles(NumIptEnt, 0);
    container.settles(ubc_core::Resource::NumProc, 0);
    std::fs::remove_dir(&inner).expect("empty");
    container.ends();
}

#[test]
fn the_hosts_rules_are_charged_to_nobody() {
    let test = "the_hosts_rules_are_charged_to_nobody";
    if !installed("nft") {
        return println!("SKIP: {test}: no nft");
    }
    let nft = |command: &str| {
        let done = Command::new("nft").arg(command).status().expect("nft runs");
        assert!(done.success(), "{command}");
    };
    let Some(container) = unknown(test) else { return };
    nft("add table ubc_test; add chain ubc_test c; add rule ubc_test c counter");
    // A container in the host's network.
    let mut shell = Shell::start_in(&container.scratch.path, "");
    assert!(shell.does("nft list ruleset").contains("ubc_test"), "the host's network");
    let container = adopted(container);
    let held = container.count(NumIptEnt).held;
    nft("delete table ubc_test");
    assert_eq!(held, 0);
    drop(shell);

    // What the host does in a container's network, once that is known.
    let mut shell = Shell::start(&container);
    shell.does("nft 'add table t; add chain t c; add rule t c counter'");
    let network = shell.network();
    let mut words = network.split(' ').chain(["nft", "add rule t c drop"]);
    let done = Command::new(words.next().expect("one")).args(words).status().expect("it runs");
    assert!(done.success());
    assert_eq!(container.count(NumIptEnt).held, 1);
    let (scratch, other) = container.enforcer.container(102);
    container.enforcer.seed(other).expect("seeded");
    assert_eq!(container.count(NumIptEnt).held, 1, "another container was taken over");
    container.enforcer.remove(other).expect("removable");
    drop((shell, scratch));
    container.ends();
}

#[test]
fn a_rule_of_a_batch_under_way_counts_once() {
    let test = "a_rule_of_a_batch_under_way_counts_once";
    if !installed("nft") {
        return println!("SKIP: {test}: no nft");
    }
    let Some(container) = unknown(test) else { return };
    let mut shell = Shell::start(&container);
    shell.does("nft 'add table t; add chain t c; add rule t c counter'");
    let container = adopted(container);
    let rules = "add rule t c counter; ".repeat(200);
    let until = std::env::temp_dir().join(format!("ubc-rules-{}", std::process::id()));
    let batch = format!("echo 'flush chain t c; {rules}' > {0}.batch; touch {0}", until.display());
    shell.does(&batch);
    // Half of the batches are aborted.
    let aborted = "nft 'flush chain t c; add rule t c drop; add rule t nowhere drop'";
    let mut looks = 0;
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| {
            let at = until.display();
            shell.run(&format!(
                "while [ -e {at} ]; do nft -f {at}.batch || echo broken; {aborted} 2>&-; done"
            ))
        });
        let end = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while std::time::Instant::now() < end {
            container.enforcer.seed(container.slot).expect("seeded");
            looks += 1;
        }
        std::fs::remove_file(&until).expect("it is there");
        let (_, said) = busy.join().expect("it ends");
        assert!(!said.contains("broken"), "{said}");
    });
    println!("{looks} passes");
    let listed = shell.does("nft list ruleset").matches("counter").count() as u64;
    container.settles(NumIptEnt, listed);
    assert_eq!(listed, 200);
    let _ = std::fs::remove_file(format!("{}.batch", until.display()));
    drop(shell);
    container.ends();
}
