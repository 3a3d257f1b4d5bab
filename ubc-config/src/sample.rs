//! OpenVZ's sample configurations as files: `ve-basic`, `ve-light` and the
//! `vswap-*`.
//!
//! The limits are those of [`ubc_core::profiles`]; disk, CPU and packet filter
//! parameters, which the published samples have as well, are written along for
//! tools that read them.

use ubc_core::profiles::{Profile, VE_BASIC, VE_LIGHT, VSWAP, VswapProfile};
use ubc_core::{Class, Resource};
use ubc_procfs::text::value::Shown;

use crate::document::Document;
use crate::key::Key;

/// The classic ones.
const CLASSIC: [Profile; 2] = [VE_BASIC, VE_LIGHT];

/// The other name of vswap-1024m.
const ALIAS: (&str, &str) = ("vswap-1g", "vswap-1024m");

/// The names, without `ve-`.
pub fn names() -> impl Iterator<Item = &'static str> {
    let classic = CLASSIC.iter().map(|sample| sample.name);
    classic.chain(VSWAP.iter().map(|sample| sample.name)).chain([ALIAS.0])
}

/// The sample of this name, without `ve-`.
pub fn document(name: &str) -> Option<Document> {
    let name = if name == ALIAS.0 { ALIAS.1 } else { name };
    let classic = CLASSIC.iter().find(|sample| sample.name == name).map(classic);
    classic.or_else(|| VSWAP.iter().find(|sample| sample.name == name).map(vswap))
}

fn classic(sample: &Profile) -> Document {
    let mut document = Document::default();
    let limits = sample.limits();
    for (class, title) in [
        (Class::Primary, "# Primary parameters"),
        (Class::Secondary, "# Secondary parameters"),
        (Class::Auxiliary, "# Auxiliary parameters"),
    ] {
        document.comment(title);
        for row in Resource::ALL.into_iter().filter(|row| row.class() == class) {
            if let Some(limits) = limits[row] {
                put(&mut document, &Key::Row(row).to_string(), &Shown(limits).to_string());
            }
            if row == Resource::NumProc {
                put(&mut document, "AVNUMPROC", &sample.avnumproc.to_string());
            }
        }
        document.comment("");
    }
    let light = *sample == VE_LIGHT;
    let (space, inodes) = if light { ("1G:1.1G", "65536:72090") } else { BASIC_DISK };
    disk(&mut document, space, inodes);
    put(&mut document, "CPUUNITS", if light { "250" } else { "1000" });
    document
}

const BASIC_DISK: (&str, &str) = ("2G:2.2G", "131072:144179");

fn vswap(sample: &VswapProfile) -> Document {
    let mut document = Document::default();
    document.comment("# RAM and swap; all other limits follow from them");
    for (name, bytes) in [("PHYSPAGES", sample.ram), ("SWAPPAGES", sample.swap)] {
        let size = match (bytes >> 20, bytes >> 30) {
            (_, whole) if whole > 0 && whole << 30 == bytes => format!("{whole}G"),
            (mebibytes, _) => format!("{mebibytes}M"),
        };
        put(&mut document, name, &format!("0:{size}"));
    }
    document.comment("");
    disk(&mut document, BASIC_DISK.0, BASIC_DISK.1);
    put(&mut document, "CPUUNITS", "1000");
    put(&mut document, "NETFILTER", "stateless");
    document
}

fn disk(document: &mut Document, space: &str, inodes: &str) {
    document.comment("# Disk quota, for tools that apply it");
    put(document, "DISKSPACE", space);
    put(document, "DISKINODES", inodes);
    put(document, "QUOTATIME", "0");
    document.comment("");
}

fn put(document: &mut Document, name: &str, value: &str) {
    document.set(name, value.as_bytes());
}

#[cfg(test)]
mod tests;
