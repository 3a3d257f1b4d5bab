//! Mounts.

use ubc_cgroup::parse::{Mount, mounts};

use super::lines;

/// A mount is read the same again when it is written as the kernel does,
/// whatever its names, and one line does not change what another says.
///
/// # Panics
///
/// If that does not hold.
pub fn mountinfo(data: &[u8]) {
    let found = mounts(data);
    assert_eq!(lines(data).flat_map(mounts).collect::<Vec<Mount>>(), found);
    let text: Vec<u8> = found.iter().flat_map(line).collect();
    assert_eq!(mounts(&text), found);
    for mount in &found {
        assert!(!mount.root.is_empty() && !mount.point.is_empty() && !mount.kind.is_empty());
        for option in mount.options.split(|&byte| byte == b',').take(16) {
            assert!(std::str::from_utf8(option).map_or(true, |option| mount.has_option(option)));
        }
        assert!(!mount.has_option("a,b"), "that would be two");
    }
}

fn line(mount: &Mount) -> Vec<u8> {
    let Mount { id, parent, device: (major, minor), .. } = mount;
    let mut line = format!("{id} {parent} {major}:{minor} ").into_bytes();
    for name in [&mount.root, &mount.point] {
        line.extend(escaped(name));
        line.push(b' ');
    }
    line.extend_from_slice(b"rw shared:1 - ");
    line.extend(escaped(&mount.kind));
    if !mount.options.is_empty() {
        line.extend_from_slice(b" source ");
        line.extend(escaped(&mount.options));
    }
    line.push(b'\n');
    line
}

/// As `mangle()` of the kernel's fs/proc_namespace.c.
fn escaped(name: &[u8]) -> Vec<u8> {
    let escape = |&byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        byte => vec![byte],
    };
    name.iter().flat_map(escape).collect()
}
