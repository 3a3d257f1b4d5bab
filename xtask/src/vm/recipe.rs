//! What makes an image, in one text, and the name its hash gives it.

use super::guest::Guest;
use super::rootfs;

/// Raise it when the build changes in a way the rest of the recipe does not show.
const FORMAT: u32 = 1;

/// Everything an image depends on, but for what the mirror has that day.
pub(super) fn text(guest: Guest) -> String {
    let mut packages = guest.packages();
    packages.sort_unstable();
    let mut text = format!("format {FORMAT}\nsuite {}\n", guest.suite());
    for package in packages {
        text = text + "package " + package + "\n";
    }
    for unit in guest.disabled() {
        text = text + "disabled " + unit + "\n";
    }
    text + &rootfs::steps()
}

/// FNV-1a, 64 bits: the same on every machine and with every compiler, which
/// the standard library's hasher does not promise.
pub(super) fn key(text: &str) -> String {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(key(""), "cbf29ce484222325");
        assert_eq!(key("foobar"), "85944171f73967e8");
    }

    #[test]
    fn guests_do_not_share_an_image() {
        assert_ne!(text(Guest::Trixie), text(Guest::Bookworm));
    }

    #[test]
    fn the_recipe_holds_packages_kernel_and_steps() {
        let text = text(Guest::Trixie);
        for part in ["format 1", "package runc", "package linux-image-cloud-amd64", "sshd_config"] {
            assert!(text.contains(part), "{part} missing from:\n{text}");
        }
    }

    #[test]
    fn one_changed_byte_is_another_image() {
        let text = text(Guest::Trixie);
        assert_ne!(key(&text), key(&text.replace("package runc", "package runC")));
    }
}
