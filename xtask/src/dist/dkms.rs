//! The package `ubc-dkms`: the kernel module's source.

use super::tree::Tree;
use super::{Meta, read};
use crate::run::Result;

/// What is built from, with the licence of the whole.
const SOURCES: [&str; 4] = ["Kbuild", "Makefile", "dkms.conf", "ubc_entry.c"];

pub(super) fn package(_: &Meta) -> Result<Tree> {
    let conf = read("module/dkms.conf")?;
    let name = value(&conf, "PACKAGE_NAME")?;
    let version = value(&conf, "PACKAGE_VERSION")?;
    let words = vec![("MODULE", name.to_owned()), ("MODULE_VERSION", version.to_owned())];
    let tree = Tree::new("ubc-dkms", words)?;
    for file in SOURCES {
        tree.copy(&format!("module/{file}"), &format!("usr/src/{name}-{version}/{file}"))?;
    }
    tree.write("usr/lib/modules-load.d/ubc-dkms.conf", b"ubc_entry\n")?;
    tree.copy("module/README.md", "usr/share/doc/ubc-dkms/README.md")?;
    Ok(tree)
}

/// A value of dkms.conf.
fn value<'a>(conf: &'a str, name: &str) -> Result<&'a str> {
    let mut values = conf.lines().filter_map(|line| line.split_once('='));
    let value = values.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'));
    value.ok_or_else(|| format!("module/dkms.conf: no {name}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::dist::Packing;

    #[test]
    fn the_same_source_makes_the_same_package_at_any_time() {
        if !crate::packages::is_installed("dpkg-deb") {
            println!("SKIP: no dpkg-deb");
            return;
        }
        let meta = Meta {
            upstream: "0.3.1".to_owned(),
            version: "0.3.1-1".to_owned(),
            architecture: "amd64".to_owned(),
            maintainer: "A <a@b.example>".to_owned(),
            epoch: "1700000000".to_owned(),
        };
        let made = || {
            let out = tempfile::tempdir().unwrap();
            let path = package(&meta).unwrap().pack(&meta, out.path(), Packing::Small).unwrap();
            assert!(path.ends_with("ubc-dkms_0.3.1-1_all.deb"), "{}", path.display());
            fs::read(path).unwrap()
        };
        let first = made();
        // Times of files are in whole seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        assert!(first == made(), "packed twice, it comes out different");
    }

    #[test]
    fn a_module_without_a_name_is_refused() {
        assert_eq!(value("A=\"1\"\nPACKAGE_NAME=\"x\"\n", "PACKAGE_NAME"), Ok("x"));
        assert!(value("A=\"1\"\n", "PACKAGE_NAME").is_err());
    }
}
