//! `cargo xtask demo`: the main job, in front of your eyes.

mod machine;

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::packages;
use crate::run::{Result, cargo, check, root, shown, step};

/// The container of the demo.
const ID: &str = "101";

/// What ends the output of one command inside.
const END: &str = "--end-of-output--";

/// What a small program opens inside, so that the rows are not zero.
const HOLD: &str = "files=7 flocks=2 posix=1 ptys=2 tcp=1 udp=2 unix=3 threads=4 kib=2048";

pub(crate) fn demo() -> Result<()> {
    step("What this needs");
    packages::for_run()?;
    println!("everything is installed");

    step("Build");
    check(cargo().args(["build", "-p", "ubc", "--bins", "--examples"]))?;

    step("What this machine can meter and enforce: ubc doctor");
    let doctor = json(&["doctor", "--json"])?;
    ubc(&["doctor"])?;

    step("A container with limits");
    let mut container = Container::start(&["--numproc", "40", "--numfile", "512:512"])?;
    container.show("hostname; ps")?;

    step("A program inside that holds a known number of things");
    install("hold")?;
    container.say("mkfifo /tmp/input; exec 9<>/tmp/input")?;
    println!("(inside) $ hold {HOLD} &");
    container.say(&format!("hold {HOLD} <&9 >/tmp/said &"))?;
    container.show("until [ -s /tmp/said ]; do usleep 20000; done; cat /tmp/said")?;

    step("Its own file, read inside");
    let file = container.show("cat /proc/user_beancounters")?;
    check_file(&file)?;

    step("The same from the host");
    ubc(&["list"])?;
    ubc(&["show", ID])?;

    step("A limit changed at run time");
    ubc(&["set", ID, "--numproc", "60"])?;
    container.show("grep -E 'resource|numproc' /proc/user_beancounters")?;

    step("Over a limit");
    if doctor["rows"]["numproc"]["enforced"] == Value::Bool(true) {
        refused(&mut container)?;
    } else {
        println!("This kernel gives ubc nothing that can refuse, so every limit is kept but only");
        println!("observed. Why, row by row:");
        for (resource, row) in doctor["rows"].as_object().into_iter().flatten() {
            println!("  {resource:<13} {}", row["enforced_by"].as_str().unwrap_or("?"));
        }
    }

    step("End");
    container.end()?;
    ubc(&["list"])?;

    if doctor["rows"]["numfile"]["enforced"] != Value::Bool(true) {
        step("The same where the kernel refuses: a machine with Debian 13, emulated");
        machine::show(program().parent().unwrap_or(&root()))?;
    }
    Ok(())
}

/// Starts more processes than allowed; the failcnt must have risen.
fn refused(container: &mut Container) -> Result<()> {
    ubc(&["set", ID, "--numproc", "12"])?;
    let failcnt = |text: &str| {
        let last = text.split_whitespace().next_back();
        last.and_then(|word| word.parse::<u64>().ok()).ok_or("no numproc row".to_owned())
    };
    let row = "grep numproc /proc/user_beancounters";
    let before = failcnt(&container.say(row)?)?;
    // Each in a subshell of its own: a shell that cannot fork ends.
    let storm = "(for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done) 2>&1 | head -2";
    println!("(inside) $ {storm}");
    println!("{}", container.say(storm)?);
    let text = container.show(row)?;
    let after = failcnt(&text)?;
    if after <= before {
        return Err(format!("numproc was not refused: failcnt was {before} and is {after}"));
    }
    println!("refused {} times", after - before);
    Ok(())
}

/// The file must be whole, and count at least what `hold` holds.
fn check_file(file: &str) -> Result<()> {
    let rows: Vec<Vec<&str>> =
        file.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    if rows.len() != 24 {
        return Err(format!("the file has {} rows, not 24", rows.len()));
    }
    for (resource, least) in [
        ("privvmpages", 512),
        ("numproc", 6),
        ("physpages", 512),
        ("numtcpsock", 1),
        ("numflock", 3),
        ("numpty", 2),
        ("numothersock", 5),
        ("numfile", 18),
    ] {
        let row = rows.iter().find(|row| row.contains(&resource));
        let held = row.and_then(|row| row.get(1)).and_then(|held| held.parse::<u64>().ok());
        if held.is_none_or(|held| held < least) {
            return Err(format!("{resource} is {held:?}; the container holds {least} or more"));
        }
    }
    Ok(())
}

/// `ubc run` with a shell inside that does as it is told.
struct Container {
    ubc: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Container {
    fn start(limits: &[&str]) -> Result<Container> {
        let mut command = Command::new(program());
        command.args(["run", "--id", ID]).args(limits).args(["--", "sh"]);
        println!("(host)   $ {}", shown(&command));
        let mut ubc = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", shown(&command)))?;
        let (Some(stdin), Some(stdout)) = (ubc.stdin.take(), ubc.stdout.take()) else {
            return Err("no pipes".to_owned());
        };
        let lines = BufReader::new(stdout).lines();
        Ok(Container { ubc, stdin: Some(stdin), lines })
    }

    /// Runs a command inside; what it printed.
    fn say(&mut self, command: &str) -> Result<String> {
        let stdin = self.stdin.as_mut().ok_or("the container has been told to end")?;
        let gone = |error| format!("the container is gone: {error}");
        writeln!(stdin, "{command}\necho {END}").map_err(gone)?;
        let mut said = Vec::new();
        for line in &mut self.lines {
            let line = line.map_err(gone)?;
            if line == END {
                return Ok(said.join("\n"));
            }
            said.push(line);
        }
        Err(format!("the container ended: {}", said.join("\n")))
    }

    /// As `say`, shown.
    fn show(&mut self, command: &str) -> Result<String> {
        println!("(inside) $ {command}");
        let said = self.say(command)?;
        println!("{said}");
        Ok(said)
    }

    fn end(&mut self) -> Result<()> {
        drop(self.stdin.take());
        let status = self.ubc.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("ubc run: {status}")) }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // After an error: end of input ends the shell, which ends it all.
        drop(self.stdin.take());
        drop(self.ubc.wait());
    }
}

/// Copies an example program and its libraries into the container.
fn install(name: &str) -> Result<()> {
    let program = program().with_file_name("examples").join(name);
    let rootfs = PathBuf::from("/run/ubc/containers").join(ID).join("rootfs");
    let ldd = Command::new("ldd").arg(&program).output();
    let libraries = ldd.map_err(|error| format!("ldd: {error}"))?.stdout;
    let libraries = String::from_utf8_lossy(&libraries).into_owned();
    let paths = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    let copies = paths.map(|path| (PathBuf::from(path), rootfs.join(&path[1..])));
    let program = (program, rootfs.join("bin").join(name));
    for (from, to) in copies.chain([program]) {
        let made = to.parent().map_or(Ok(()), std::fs::create_dir_all);
        made.and_then(|()| std::fs::copy(&from, &to))
            .map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}

fn program() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    root().join(target.unwrap_or_else(|| "target".into())).join("debug/ubc")
}

fn ubc(args: &[&str]) -> Result<()> {
    let mut command = Command::new(program());
    command.args(args);
    println!("(host)   $ ubc {}", args.join(" "));
    check(&mut command)
}

fn json(args: &[&str]) -> Result<Value> {
    let output = Command::new(program())
        .args(args)
        .output()
        .map_err(|error| format!("ubc {}: {error}", args.join(" ")))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("ubc {}: {error}", args.join(" ")))
}
