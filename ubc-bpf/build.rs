//! Compiles the kernel programs with clang, one object for each mechanism.

use std::env;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=bpf");
    println!("cargo:rerun-if-env-changed=CLANG");
    if let Err(reason) = compile_all() {
        println!("cargo:warning={reason}");
        eprintln!("{reason}");
        std::process::exit(1);
    }
}

fn compile_all() -> Result<(), String> {
    let out = PathBuf::from(var("OUT_DIR")?);
    // Where libbpf-sys has put the headers of the libbpf it builds.
    let headers = var("DEP_BPF_INCLUDE")?;
    let arch = match var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => "x86",
        "aarch64" => "arm64",
        "riscv64" => "riscv",
        "powerpc64" => "powerpc",
        "s390x" => "s390",
        other => return Err(format!("no register names for BPF programs on {other}")),
    };
    let mut sources: Vec<PathBuf> = std::fs::read_dir("bpf")
        .map_err(|error| format!("bpf: {error}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.to_string_lossy().ends_with(".bpf.c"))
        .collect();
    sources.sort();
    let mut build = DefaultHasher::new();
    for source in sources {
        let stem = source.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let object = out.join(format!("{stem}.o"));
        compile(&source, &object, arch, &headers)?;
        stem.hash(&mut build);
        std::fs::read(&object).map_err(|error| format!("{stem}: {error}"))?.hash(&mut build);
    }
    // Two builds of the same programs know each other by it.
    println!("cargo:rustc-env=UBC_BPF_BUILD={:016x}", build.finish());
    Ok(())
}

fn compile(source: &Path, object: &Path, arch: &str, headers: &str) -> Result<(), String> {
    let clang = env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    // The same programs wherever they are built: objects name the files they are from.
    let here = var("CARGO_MANIFEST_DIR")?;
    let unnamed = |directory: &str, name: &str| format!("-ffile-prefix-map={directory}={name}");
    let status = Command::new(&clang)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wall", "-Werror"])
        .arg(format!("-D__TARGET_ARCH_{arch}"))
        .args([unnamed(headers, "libbpf"), unnamed(&here, "ubc-bpf")])
        .args(["-I", headers, "-I", "bpf", "-c"])
        .arg(source)
        .arg("-o")
        .arg(object)
        .status()
        .map_err(|error| {
            format!(
                "the kernel programs need clang 14 or newer (apt install clang): {clang}: {error}"
            )
        })?;
    if status.success() { Ok(()) } else { Err(format!("{clang}: {}: {status}", source.display())) }
}

fn var(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("{name}: {error}"))
}
