//! The Debian packages: installed, used as a new user does, upgraded, rebooted, removed
//! and purged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::dist::{self, Meta, Packing};
use crate::facts::{Fact, Value};
use crate::run::{Result, check, shown};
use crate::tests::Count;
use crate::vm::{Guest, Machine};

/// What is done with them in the guest, and what has to be true then: before a reboot
/// and after it, and what both parts share.
const LIFE: &str = include_str!("package/life.sh");
const BOOT: &str = include_str!("package/boot.sh");
const COMMON: &str = include_str!("package/common.sh");

/// Longest a part may take: most of it is the daemon's start, in which an emulated
/// kernel reads all programs.
const LIMIT: Duration = Duration::from_mins(12);

/// Packs everything twice, which must come out the same, and once in a higher version;
/// a machine lives through all of a package's life with it.
pub(super) fn run(guest: Guest, column: &str, binary: &Path, total: &mut Count) -> Result<()> {
    let started = Instant::now();
    let outcome = outcome(guest, binary);
    let passed = u64::from(outcome.is_ok());
    let fact = Fact {
        table: "package".to_owned(),
        row: "install, upgrade, reboot, remove, purge".to_owned(),
        column: column.to_owned(),
        value: if outcome.is_ok() { Value::Passed } else { Value::Failed },
    };
    let facts = vec![fact];
    total.add(Count { passed, failed: 1 - passed, facts, ..Count::default() });
    println!(
        "   {guest}: the Debian packages: {passed} passed, {} failed in {} s",
        1 - passed,
        started.elapsed().as_secs()
    );
    outcome.map(drop).map_err(|error| format!("{guest}: the Debian packages: {error}"))
}

/// The same for whoever makes packages, with what the machine says of each step.
pub(crate) fn try_out(binary: &Path) -> Result<()> {
    print!("{}", outcome(Guest::default(), binary)?);
    Ok(())
}

fn outcome(guest: Guest, binary: &Path) -> Result<String> {
    let dir = tempfile::tempdir().map_err(|error| format!("a temporary directory: {error}"))?;
    let pack = |suffix: &str, to: &str| {
        dist::all(binary, &Meta::find(suffix)?, &dir.path().join(to), Packing::Fast)
    };
    let (old, again, new) = (pack("", "old")?, pack("", "again")?, pack("+1", "new")?);
    let bytes = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    for (one, other) in old.iter().zip(&again) {
        if bytes(one)? != bytes(other)? {
            return Err(format!("packed twice, it comes out different: {}", one.display()));
        }
    }
    let [command, library, development, _] = &old[..] else {
        return Err(format!("not the packages there are: {old:?}"));
    };
    let program = dir.path().join("container");
    build_with(&[library, development], &dir.path().join("unpacked"), &program)?;
    let machine = Machine::resume(guest)?;
    machine.push(command, "/t/old.deb")?;
    machine.push(&new[0], "/t/new.deb")?;
    machine.push(library, "/t/library.deb")?;
    machine.push(&program, "/t/container")?;
    let life = part(&machine, LIFE)?;
    machine.reboot()?;
    Ok(life + &part(&machine, BOOT)?)
}

/// Runs a part of the script in the machine; what it says.
fn part(machine: &Machine, script: &str) -> Result<String> {
    let script = format!("{COMMON}\n{script}");
    let words = ["sh", "-c", &script, "sh", "/t/old.deb", "/t/new.deb", "/t/library.deb"];
    let outcome = machine.run(&words, LIMIT)?;
    let said = format!("{}{}", outcome.stdout, outcome.stderr);
    if outcome.status == 0 {
        Ok(said)
    } else {
        Err(format!("ended with {}:\n{said}", outcome.status))
    }
}

/// Compiles the C example with what these packages have, and with nothing of the tree.
fn build_with(packages: &[&PathBuf], unpacked: &Path, program: &Path) -> Result<()> {
    for package in packages {
        check(Command::new("dpkg-deb").arg("-x").arg(package).arg(unpacked))?;
    }
    let triplet = printed(Command::new("dpkg-architecture").arg("-qDEB_HOST_MULTIARCH"))?;
    let mut config = Command::new("pkg-config");
    config.args(["--cflags", "--libs", "ubc"]).env("PKG_CONFIG_SYSROOT_DIR", unpacked);
    config.env("PKG_CONFIG_LIBDIR", unpacked.join(format!("usr/lib/{triplet}/pkgconfig")));
    // Usually these directories are the compiler's own.
    config.env("PKG_CONFIG_ALLOW_SYSTEM_CFLAGS", "1").env("PKG_CONFIG_ALLOW_SYSTEM_LIBS", "1");
    let flags = printed(&mut config)?;
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Werror", "-std=c11", "-D_GNU_SOURCE", "-o"]).arg(program);
    compiler.arg(unpacked.join("usr/share/doc/libubc-dev/examples/container.c"));
    check(compiler.args(flags.split_whitespace()))
}

/// What a program that succeeds says.
fn printed(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| format!("{}: {error}", shown(command)))?;
    let (said, why) = (output.stdout, String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        return Err(format!("{}: {}", shown(command), why.trim_end()));
    }
    Ok(String::from_utf8_lossy(&said).trim_end().to_owned())
}
