//! Where standard error is systemd's journal, what is logged comes there with fields;
//! and where it is not, in lines.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

const UBC: &str = env!("CARGO_BIN_EXE_ubc");

/// A journal of its own, in a mount namespace of its own: it starts `ubc record`, which
/// cannot log more than that there is no daemon and where it writes. $1 is the command,
/// $2 the directory, $3 what JOURNAL_STREAM is to say. Prints what arrived, as hex.
const SCRIPT: &str = r#"
set -e
mount -t tmpfs none /run
mkdir -p /run/systemd/journal
exec python3 - "$@" <<'END'
import os, signal, socket, subprocess, sys

program, directory, stream = sys.argv[1:]
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
journal.bind("/run/systemd/journal/socket")
journal.settimeout(60)
ours, its = socket.socketpair()
status = os.fstat(its.fileno())
mine = f"{status.st_dev}:{status.st_ino}"
child = subprocess.Popen(
    [program, "--run-dir", directory + "/none", "record", "--dir", directory + "/a\nPRIORITY=0"],
    stderr=its, env={**os.environ, "JOURNAL_STREAM": stream or mine})
its.close()
if not stream:
    arrived = 0
    while arrived < 2:
        message = journal.recv(65536)
        # The first one is empty: is anybody there?
        if message:
            print(message.hex())
            arrived += 1
else:
    said = b""
    while said.count(b"\n") < 2:
        said += ours.recv(65536)
    print(said.hex())
child.send_signal(signal.SIGTERM)
sys.exit(child.wait())
END
"#;

fn run(dir: &Path, stream: &str) -> Option<Output> {
    for program in ["unshare", "python3"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("SKIP: no {program}");
            return None;
        }
    }
    if std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) != 0 {
        println!("SKIP: needs root");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "sh", UBC]).arg(dir).arg(stream);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

fn messages(output: &Output) -> Vec<Vec<u8>> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let digits = |line: &str| -> Vec<u8> {
        let pairs = line.as_bytes().chunks(2);
        pairs.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    };
    text.lines().map(digits).collect()
}

/// One message as the journal reads it:
/// <https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>.
fn fields(mut message: &[u8]) -> BTreeMap<String, String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut all = BTreeMap::new();
    while !message.is_empty() {
        let end = message.iter().position(|byte| *byte == b'\n').unwrap();
        let (line, rest) = (&message[..end], &message[end + 1..]);
        let (name, value, rest) = if let Some(at) = line.iter().position(|byte| *byte == b'=') {
            (&line[..at], &line[at + 1..], rest)
        } else {
            let (length, rest) = rest.split_at(8);
            let length = u64::from_le_bytes(length.try_into().unwrap()).try_into().unwrap();
            let (value, rest) = rest.split_at(length);
            (line, value, rest.strip_prefix(b"\n").unwrap())
        };
        let old = all.insert(text(name), text(value));
        assert_eq!(old, None, "{} twice", text(name));
        message = rest;
    }
    all
}

#[test]
fn the_journal_gets_messages_whose_fields_nobody_else_writes() {
    let dir = tempfile::tempdir().unwrap();
    let Some(output) = run(dir.path(), "") else { return };
    let messages = messages(&output);
    let all: Vec<_> = messages.iter().map(|message| fields(message)).collect();
    let [silent, started] = &all[..] else { panic!("{all:?}") };
    assert_eq!(silent["MESSAGE"], "containers are not read: no daemon runs");
    assert_eq!((&*silent["PRIORITY"], &*silent["SYSLOG_IDENTIFIER"]), ("4", "ubc"));
    // A line break in what was given is neither a line nor a field.
    let expected = format!("recording into {}/a\\nPRIORITY=0 every 1m", dir.path().display());
    assert_eq!(started["MESSAGE"], expected);
    assert_eq!(started["PRIORITY"], "5");
}

#[test]
fn whoever_only_inherits_the_name_of_a_journal_gets_lines() {
    let dir = tempfile::tempdir().unwrap();
    let Some(output) = run(dir.path(), "1:1") else { return };
    let said = String::from_utf8(messages(&output).concat()).unwrap();
    let expected = format!(
        "ubc: warn: containers are not read: no daemon runs\n\
         ubc: recording into {}/a\\nPRIORITY=0 every 1m\n",
        dir.path().display()
    );
    assert_eq!(said, expected);
}
