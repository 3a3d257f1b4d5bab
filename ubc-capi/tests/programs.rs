//! Programs in C and Python use the library as it is installed.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
// So that cargo builds the libraries before the tests.
use ubc_capi as _;

/// Of programs.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Where a packager put the library, the header and ubc.pc.
struct Installed {
    root: TempDir,
}

impl Installed {
    fn get() -> &'static Installed {
        static INSTALLED: OnceLock<Installed> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            let root = tempfile::tempdir().unwrap();
            let install = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
            // The test is beside the libraries.
            let test = std::env::current_exe().unwrap();
            let mut command = Command::new(install);
            command.arg(test.parent().unwrap()).env("PREFIX", root.path()).env_remove("DESTDIR");
            done(&command.env_remove("LIBDIR").output().unwrap());
            Installed { root }
        })
    }

    fn lib(&self) -> PathBuf {
        self.root.path().join("lib")
    }

    /// What pkg-config says, or what it would where there is none.
    fn flags(&self, is_static: bool) -> Vec<String> {
        let mut command = Command::new("pkg-config");
        command.args(["--cflags", "--libs", "ubc"]).args(is_static.then_some("--static"));
        command.env("PKG_CONFIG_PATH", self.lib().join("pkgconfig"));
        let said = command.output().map_or_else(|_| self.written(is_static), |said| done(&said));
        said.split_whitespace().map(str::to_owned).collect()
    }

    /// The flags as ubc.pc has them.
    fn written(&self, is_static: bool) -> String {
        let pc = std::fs::read_to_string(self.lib().join("pkgconfig/ubc.pc")).unwrap();
        let include = self.root.path().join("include");
        let field = |name: &str| {
            let line = pc.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let line = line.replace("${libdir}", self.lib().to_str().unwrap());
            line.replace("${includedir}", include.to_str().unwrap())
        };
        let private = if is_static { field("Libs.private:") } else { String::new() };
        format!("{} {} {private}", field("Cflags:"), field("Libs:"))
    }

    /// A program of the examples; `None`, with the reason printed, without a
    /// compiler.
    fn compile(&self, compiler: &str, name: &str, is_static: bool) -> Option<PathBuf> {
        if Command::new(compiler).arg("--version").output().is_err() {
            println!("SKIP: no {compiler}");
            return None;
        }
        // Each test its own: one may still be written while another one runs.
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let program = self.root.path().join(format!("{name}-{number}"));
        let mut command = Command::new(compiler);
        command.args(["-Wall", "-Wextra", "-Werror", "-O1", "-o"]).arg(&program);
        command.args(if compiler == "cc" { ["-std=c11", "-D_GNU_SOURCE"] } else { ["-x", "c++"] });
        command.arg(example(&format!("{name}.c"))).args(["-x", "none"]);
        if is_static {
            std::fs::create_dir_all(self.root.path().join("static")).unwrap();
            let archive = self.root.path().join("static/libubc.a");
            if !archive.exists() {
                std::os::unix::fs::symlink(self.lib().join("libubc.a"), &archive).unwrap();
            }
            // Before the other: there is no shared one beside it.
            command.arg(format!("-L{}", self.root.path().join("static").display()));
        }
        done(&command.args(self.flags(is_static)).output().unwrap());
        Some(program)
    }

    fn run(&self, command: &mut Command) -> String {
        done(&command.env("LD_LIBRARY_PATH", self.lib()).output().unwrap())
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

/// What a program that succeeds says.
fn done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {said}{failed}", output.status);
    said
}

fn is_root() -> bool {
    let root = uid() == 0;
    if !root {
        println!("SKIP: needs root");
    }
    root
}

/// Of this process.
fn uid() -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").unwrap().uid()
}

const ENGINE: &str = "engine: numfile maxheld 16 limit 16 failcnt 1 (charges)\n";

#[test]
fn a_c_program_is_refused_by_the_engine_at_its_limit() {
    let Some(program) = Installed::get().compile("cc", "container", false) else { return };
    let said = Installed::get().run(Command::new(program).arg("engine"));
    let refused = "numfile: hard charge of 1 refused by 1: held 16, barrier 16, limit 16\n";
    assert_eq!(said, format!("{refused}{ENGINE}"));
}

#[test]
fn a_c_program_makes_a_container_that_is_refused_and_leaves_nothing() {
    let Some(program) = Installed::get().compile("cc", "container", false) else { return };
    if !is_root() {
        return;
    }
    let said = Installed::get().run(&mut Command::new(program));
    let (_, kernel) = said.split_once(ENGINE).unwrap();
    if kernel.starts_with("numfile=16 is not imposed: ") {
        println!("SKIP: {}", kernel.lines().next().unwrap());
        let row = kernel.lines().nth(1).unwrap();
        assert!(row.starts_with("kernel: numfile maxheld ") && row.contains("failcnt 0"), "{row}");
    } else {
        assert_eq!(kernel, "kernel: numfile maxheld 16 limit 16 failcnt 1 (bpf numfile)\n");
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap();
    let mount = Path::new(mount.split(' ').nth(1).unwrap());
    assert!(!mount.join("ubc/90001401").exists(), "the cgroup stayed");
}

#[test]
fn the_static_library_needs_what_ubc_pc_says() {
    let Some(program) = Installed::get().compile("cc", "container", true) else { return };
    let output = Command::new(program).arg("engine").env_remove("LD_LIBRARY_PATH").output();
    assert!(done(&output.unwrap()).ends_with(ENGINE));
}

#[test]
fn the_header_is_cxx_as_well() {
    let Some(program) = Installed::get().compile("c++", "container", false) else { return };
    let said = Installed::get().run(Command::new(program).arg("engine"));
    assert!(said.ends_with(ENGINE), "{said}");
}

#[test]
fn programs_ask_for_the_library_by_its_abi() {
    let Some(program) = Installed::get().compile("cc", "container", false) else { return };
    let bytes = std::fs::read(program).unwrap();
    let name = b"libubc.so.0\0";
    assert!(bytes.windows(name.len()).any(|window| window == name));
}

#[test]
fn every_function_of_the_header_is_in_the_library_and_no_other() {
    let library = Installed::get().lib().join("libubc.so.0");
    let Ok(nm) = Command::new("nm").args(["-D", "--defined-only"]).arg(library).output() else {
        println!("SKIP: no nm");
        return;
    };
    let said = done(&nm);
    let mut there: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2))
        .map(|name| name.split('@').next().unwrap())
        .collect();
    there.sort_unstable();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("include/ubc.h");
    let header = std::fs::read_to_string(path).unwrap();
    let code = header.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: Vec<&str> = code.skip_while(|line| !line.starts_with("#ifndef")).collect();
    let code = code.join("\n");
    let mut said: Vec<&str> = code
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '(')
        .filter_map(|word| word.split_once('(').map(|(name, _)| name))
        .filter(|name| name.starts_with("ubc_"))
        .collect();
    said.sort_unstable();
    assert_eq!(there, said);
}

/// The lines for a shell in docs/embedding.md that are about the C ABI, but for the one
/// that builds.
#[test]
fn the_documented_lines_work_as_they_stand() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = std::fs::read_to_string(root.join("docs/embedding.md")).unwrap();
    let (_, section) = document.split_once("## C: crun and LXC\n").unwrap();
    let (_, lines) = section.split_once("```sh\n").unwrap();
    let (lines, _) = lines.split_once("```").unwrap();
    let (build, lines) = lines.split_once('\n').unwrap();
    assert_eq!(build, "cargo build --release -p ubc-capi");
    assert_eq!(lines.lines().count(), 4, "{lines}");
    for program in ["cc", "pkg-config", "python3"] {
        if Command::new(program).arg("--version").output().is_err() {
            println!("SKIP: no {program}");
            return;
        }
    }
    // Elsewhere than in the system and in the tree, and with what was built.
    let dir = tempfile::tempdir().unwrap();
    let prefix = dir.path().join("prefix");
    let test = std::env::current_exe().unwrap();
    let script = lines
        .replace("/usr/local", prefix.to_str().unwrap())
        .replace("target/release", test.parent().unwrap().to_str().unwrap())
        .replace("ubc-capi/", &format!("{}/ubc-capi/", root.display()));
    let lib = prefix.join("lib");
    let output = Command::new("sh")
        .args(["-ec", &script])
        .current_dir(dir.path())
        .env("PKG_CONFIG_PATH", lib.join("pkgconfig"))
        .env("LD_LIBRARY_PATH", &lib)
        .output()
        .unwrap();
    let said = done(&output);
    assert!(said.contains(ENGINE) && said.contains("Version: 2.5\n"), "{said}");
}

#[test]
fn python_charges_the_engine() {
    if Command::new("python3").arg("--version").output().is_err() {
        println!("SKIP: no python3");
        return;
    }
    let library = Installed::get().lib().join("libubc.so.0");
    let mut python = Command::new("python3");
    let said = Installed::get().run(python.arg(example("charge.py")).arg(library));
    assert!(said.starts_with("numfile: hard charge of 1 refused by 101: held 2, "), "{said}");
    assert!(said.contains("Version: 2.5\n"), "{said}");
}
