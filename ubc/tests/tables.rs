//! What is computed from configurations and readings, number by number.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::Path;
use std::process::{Command, Output};

/// A host whose numbers the tables below are for.
const HOST: [&str; 4] =
    ["--host-ram=4G", "--host-swap=4G", "--host-low=1G", "--host-threads=32000"];

fn ubc(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ubc")).args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn printed(args: &[&str]) -> String {
    let output = ubc(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// Two containers of OpenVZ's samples, as its kernel showed them.
fn saved() -> String {
    format!("--file={}/tests/golden/user_beancounters", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn vzmemchecks_table_has_its_numbers() {
    let args = |more: &[&str]| printed(&[&["mem", &saved()][..], &HOST, more].concat());
    assert_eq!(
        args(&["-v"]),
        "\
Output values in %
CTID        LowMem  LowMem     RAM MemSwap MemSwap   Alloc   Alloc   Alloc
              util  commit    util    util  commit    util  commit   limit
102           0.24    0.65    0.38    0.19    0.11    0.25    0.11    0.44
101           0.98    5.25    1.53    0.76    1.51    1.00    1.87    3.58
--------------------------------------------------------------------------
Summary:      1.22    5.91    1.91    0.96    1.62    1.25    1.99    4.02
"
    );
    assert_eq!(
        args(&["-A"]),
        "\
Output values in Mbytes
 LowMem  LowMem     RAM MemSwap MemSwap   Alloc   Alloc   Alloc
   util  commit    util    util  commit    util  commit   limit
   5.01   24.19   78.25   78.25  132.93  102.66  162.93  329.19
 409.60  409.60 4096.00 8192.00 8192.00 8192.00 8192.00 8192.00
"
    );
    let json: serde_json::Value = serde_json::from_str(&args(&["--json"])).unwrap();
    assert_eq!(json["containers"][1]["id"], "101");
    let committed = json["containers"][1]["low_committed"].as_f64().unwrap();
    assert!((committed - 5.2518).abs() < 0.0001, "{committed}");
}

#[test]
fn vzcalcs_table_has_its_numbers() {
    let saved = saved();
    let args = [&["mem", "101", "-v", &saved, "--config-dir=/nonexistent"][..], &HOST].concat();
    assert_eq!(
        printed(&args),
        "\
Resource     Current(%)  Promised(%)  Max(%)
Low Mem          0.98       5.25       5.25
Total RAM        1.53        n/a        n/a
Mem + Swap       0.76       1.51        n/a
Alloc. Mem       1.00       1.87       3.58
Num. Proc        0.16        n/a       0.75
Memory           1.53       5.25       5.25
"
    );
    // What is not limited is not a number of percent.
    let etc = tempfile::tempdir().unwrap();
    std::fs::create_dir(etc.path().join("conf")).unwrap();
    std::fs::write(etc.path().join("conf/5.conf"), "KMEMSIZE=\"unlimited\"\n").unwrap();
    let option = format!("--config-dir={}", etc.path().display());
    let line = printed(&["mem", "5", &saved, &option]);
    assert!(line.ends_with("Memory            n/a      unlim      unlim\n"), "{line}");
    let output = ubc(&["mem", "7", &saved, "--config-dir=/nonexistent"]);
    assert_eq!(output.status.code(), Some(66), "{}", text(&output.stderr));
}

#[test]
fn a_divided_host_is_a_sample_that_can_be_applied() {
    let host = ["--host-ram=4G", "--host-swap=4G", "--host-threads=32000"];
    let sample = printed(&[&["split", "10"][..], &host].concat());
    let page = rustix::param::page_size();
    if page == 4096 {
        assert_eq!(
            sample,
            "\
# One of 10 equal containers, by ubc split
# RAM 4096 MiB, swap 4096 MiB, low memory 4096 MiB, threads 32000
# Shortage level 0: plenty: any limit may be raised
KMEMSIZE=\"85899345:94489279\"
LOCKEDPAGES=\"4194\"
PRIVVMPAGES=\"629145:692059\"
SHMPAGES=\"62914\"
NUMPROC=\"2096\"
PHYSPAGES=\"0:unlimited\"
VMGUARPAGES=\"166492:unlimited\"
OOMGUARPAGES=\"166492:unlimited\"
NUMTCPSOCK=\"2096\"
NUMFLOCK=\"1000:1100\"
NUMPTY=\"209\"
NUMSIGINFO=\"1024\"
TCPSNDBUF=\"20047899:28633115\"
TCPRCVBUF=\"20047899:28633115\"
OTHERSOCKBUF=\"10023949:18609165\"
DGRAMRCVBUF=\"10023949\"
NUMOTHERSOCK=\"2096\"
DCACHESIZE=\"18754112:19316736\"
NUMFILE=\"33536\"
NUMIPTENT=\"200\"
AVNUMPROC=\"1048\"
"
        );
    }
    let etc = tempfile::tempdir().unwrap();
    let option = format!("--config-dir={}", etc.path().display());
    let named = [&[option.as_str(), "split", "10", "--vswap", "--name", "ten"][..], &host].concat();
    printed(&named);
    let kept = std::fs::read_to_string(etc.path().join("conf/ve-ten.conf-sample")).unwrap();
    assert!(kept.contains(&format!("PHYSPAGES=\"0:{}\"\n", (4_u64 << 30) * 6 / 10 / page as u64)));
    assert_eq!(ubc(&named).status.code(), Some(73), "a sample is never replaced");
    let output = ubc(&[&["split", "1000000"][..], &host].concat());
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("accepted: 1 to "), "{}", text(&output.stderr));
}

#[test]
fn a_file_is_judged_by_vzcfgvalidates_rules_and_ours_and_repaired_by_raising() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("101.conf");
    let file = path.to_str().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/broken.conf");
    std::fs::copy(sample, &path).unwrap();
    let output = ubc(&["check", file]);
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout).replace(file, "FILE"),
        "\
FILE:22: warning: NUMPORC is unknown and ignored; did you mean NUMPROC?
FILE:2: error: numproc: barrier 240 is not equal to limit 250: nothing is charged between the \
two, so a gap has no effect [rule 1]
FILE:10: error: numflock: barrier 206 is above limit 188: the lower of the two refuses, so a \
barrier above the limit has no effect [rule 2]
FILE:13: error: tcpsndbuf: limit 2703360 - barrier 1720320 = 983040 is below 2560 x numtcpsock \
1000 = 2560000: a socket may not get room for one packet, and data transmission hangs [rule 7]
FILE:14: warning: tcprcvbuf: limit 2703360 - barrier 1720320 = 983040 is below 2560 x numtcpsock \
1000 = 2560000: connections work, but slowly [rule 9]
FILE:8: warning: kmemsize: barrier 14372700 is enough for about 107 processes, 180 are expected: \
one takes some 130 KiB of Linux today, where OpenVZ planned with 40
FILE: not valid: errors 3, warnings 3, recommendations 0
"
    );
    assert_eq!(text(&output.stderr), "ubc: not valid\n");
    let json: serde_json::Value =
        serde_json::from_slice(&ubc(&["check", file, "--json"]).stdout).unwrap();
    assert_eq!((&json["valid"], &json["findings"][1]["line"]), (&false.into(), &2.into()));

    let before = std::fs::read_to_string(&path).unwrap();
    let repaired = printed(&["check", "--repair", file]).replace(file, "FILE");
    assert_eq!(
        repaired,
        "\
FILE: numproc: 240:250 is now 250
FILE: numflock: 206:188 is now 206
FILE: tcpsndbuf: 1720320:2703360 is now 1720320:4280320
FILE: tcprcvbuf: 1720320:2703360 is now 1720320:4280320
FILE:22: warning: NUMPORC is unknown and ignored; did you mean NUMPROC?
FILE:8: warning: kmemsize: barrier 14372700 is enough for about 107 processes, 180 are expected: \
one takes some 130 KiB of Linux today, where OpenVZ planned with 40
FILE: valid: errors 0, warnings 2, recommendations 0
"
    );
    let after = std::fs::read_to_string(&path).unwrap();
    let changed: Vec<_> =
        before.lines().zip(after.lines()).filter(|(old, new)| old != new).collect();
    assert_eq!(changed.len(), 4, "{changed:?}");
    assert_eq!(before.lines().count(), after.lines().count());
    printed(&["check", file]);
    let output = ubc(&["check", dir.path().join("none").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
}

#[test]
fn the_files_of_an_openvz_host_are_taken_over_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let vz = dir.path().join("vz");
    std::fs::create_dir_all(vz.join("conf")).unwrap();
    let write = |name: &str, content: &str| std::fs::write(vz.join(name), content).unwrap();
    write("vz.conf", "VIRTUOZZO=yes\nNUMPTY=\"9\"\n");
    write("conf/0.conf", "ONBOOT=\"no\"\n");
    write("conf/101.conf", "# web\nNUMPROC=\"240:240\"\nHOSTNAME=\"web\"\nDISKSPACE=\"2G:2.2G\"\n");
    write("conf/102.conf", "PHYSPAGES=\"0:256M\"\nSWAPPAGES=\"0:x\"\n");
    let etc = dir.path().join("etc");
    let option = format!("--config-dir={}", etc.display());
    let import =
        |more: &[&str]| ubc(&[&[&option, "import-vz", vz.to_str().unwrap()], more].concat());

    let output = import(&[]);
    assert_eq!(output.status.code(), Some(65));
    assert!(text(&output.stderr).contains("102.conf, line 2: SWAPPAGES: "), "{output:?}");
    assert!(!etc.exists(), "nothing is written before all is read");

    write("conf/102.conf", "PHYSPAGES=\"0:256M\"\nSWAPPAGES=\"0:512M\"\n");
    import(&["--dry-run"]);
    assert!(!etc.exists());
    let output = import(&[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        text(&output.stdout),
        "ctid  taken  kept without effect\n 101      2  DISKSPACE HOSTNAME\n 102      3  -\n"
    );
    let conf = |name: &str| std::fs::read_to_string(etc.join("conf").join(name)).unwrap();
    // What the global file of that host said goes along.
    assert_eq!(
        conf("101.conf"),
        "# web\nNUMPROC=\"240:240\"\nHOSTNAME=\"web\"\nDISKSPACE=\"2G:2.2G\"\nNUMPTY=\"9\"\n"
    );
    assert_eq!(conf("102.conf"), "PHYSPAGES=\"0:256M\"\nSWAPPAGES=\"0:512M\"\nNUMPTY=\"9\"\n");
    assert_eq!(import(&[]).status.code(), Some(73), "a file is not replaced unasked");
    assert!(import(&["--force"]).status.success());
}
