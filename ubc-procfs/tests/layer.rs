//! The view as a layer over the native procfs: it cannot be looked behind, and
//! what a container mounts does not disturb it.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::{Container, attached, skip};

/// What a runtime hides of a container's /proc.
const MASKS: &str = "mount --bind /dev/null /proc/keys &&
    mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys &&
    mount -t tmpfs -o ro none /proc/irq";

/// Asks each mask, by the name it was made under and behind the view.
const ASK: &str = "for p in /proc /proc/.proc; do
        [ -s $p/keys ] && echo $p/keys; grep -q . $p/keys && echo $p/keys
        ls $p/irq | grep . ; (echo x >$p/sys/kernel/domainname) 2>/dev/null && echo $p/sys
    done; true";

#[test]
fn masks_made_before_and_after_the_view_hide_behind_it_too() {
    if skip() {
        return;
    }
    let before = Container::start(&[]);
    before.sh(MASKS).unwrap();
    let (_view, _process) = attached(&before);
    assert_eq!(before.sh(ASK).unwrap(), "");
    // As runtimes do whose hook runs first.
    let after = Container::start(&[]);
    let (view, process) = attached(&after);
    after.sh(MASKS).unwrap();
    assert_eq!(after.sh(ASK).unwrap(), "");
    // They are not lost with it.
    let ask = ASK.replace("/proc /proc/.proc;", "/proc;");
    view.detach(&process).unwrap();
    assert_eq!(after.sh(&format!("[ -e /proc/.proc ] && echo still there; {ask}")).unwrap(), "");
    // A view over that is one like any other.
    let (view, process) = attached(&after);
    assert_eq!(after.sh(ASK).unwrap(), "");
    view.detach(&process).unwrap();
    assert_eq!(after.sh(&ask).unwrap(), "");
}

#[test]
fn a_user_namespace_can_neither_unmount_the_layer_nor_look_behind_it() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    container.sh(MASKS).unwrap();
    let (_view, _process) = attached(&container);
    let inside = |script: &str| {
        let script = format!(
            "unshare --user --map-root-user --mount --pid --fork sh -c '{script}' 2>&1; echo $?"
        );
        container.sh(&script).unwrap()
    };
    for script in [
        "umount /proc",
        "umount -l /proc",
        "umount -l /proc/.proc",
        "umount -l /proc/keys",
        "umount -l /proc/.proc/keys",
        "mount --move /proc/.proc /mnt",
        "mount -o remount,bind,rw /proc/sys",
        "mount --bind /proc /mnt",
        // A procfs with nothing masked would be a way around the masks.
        "mount -t proc proc /mnt",
    ] {
        let said = inside(script);
        assert!(!said.ends_with("\n0\n"), "{script}: {said}");
        // Unmounting what is locked is EINVAL, which umount(8) words this way.
        let refused = ["not mounted", "not permitted", "permission denied", "wrong fs type"];
        assert!(refused.iter().any(|word| said.contains(word)), "{script}: {said}");
    }
    assert_eq!(inside(&ASK.replace('\'', "")), "0\n");
    // With all of it, it is a copy like any other.
    let said = inside("mount --rbind /proc /mnt && head -1 /mnt/user_beancounters");
    assert_eq!(said, "Version: 2.5\n0\n");
    assert!(container.sh("cat /proc/user_beancounters").unwrap().contains("101:"));
}

#[test]
fn who_owns_the_mounts_finds_below_the_layer_what_the_runtime_mounted() {
    if skip() {
        return;
    }
    // Root of a user namespace that its mount namespace belongs to: it may
    // unmount its /proc, view or not, and gains no more by it with the view.
    let container = Container::start(&["--map-root-user"]);
    let inside = |script: &str| {
        let init = container.init.to_string();
        let output = std::process::Command::new("nsenter")
            .args(["-t", &init, "-U", "-p", "-m", "sh", "-c", script])
            .output()
            .unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    inside("mount --bind /dev/null /proc/keys && mount -t tmpfs -o ro none /proc/irq");
    let (view, process) = attached(&container);
    inside("umount /proc 2>/dev/null && exit 1; grep -q . /proc/.proc/keys && exit 1; true");
    inside("umount -l /proc && cat /proc/1/comm && [ ! -e /proc/user_beancounters ]");
    inside("grep -q . /proc/keys && exit 1; ls /proc/irq | grep . && exit 1; true");
    // That was the last mount of it.
    drop(process);
    let started = std::time::Instant::now();
    while view.is_served() {
        assert!(started.elapsed() < std::time::Duration::from_mins(1), "still served");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn another_procfs_inside_lacks_the_file_and_harms_nothing() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (view, process) = attached(&container);
    let script = "mount -t proc proc /mnt && [ ! -e /mnt/user_beancounters ] && cat /mnt/1/comm
        head -1 /proc/user_beancounters && umount /mnt
        mount -t proc proc /proc && [ ! -e /proc/user_beancounters ] && cat /proc/1/comm
        umount /proc && head -1 /proc/user_beancounters
        unshare --pid --fork --mount --mount-proc sh -c \
            '[ ! -e /proc/user_beancounters ] && echo $$ && readlink /proc/self/ns/pid >/dev/null'
        head -1 /proc/user_beancounters";
    let version = "Version: 2.5\n";
    assert_eq!(
        container.sh(script).unwrap(),
        format!("sleep\n{version}sleep\n{version}1\n{version}")
    );
    assert!(view.is_served());
    view.detach(&process).unwrap();
}

#[test]
fn what_is_mounted_over_a_name_of_the_view_shows_and_goes_again() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    // As lxcfs does, and those who want a file of their own.
    let script = "echo mine >/tmp/ubc-mine-$$
        mount --bind /tmp/ubc-mine-$$ /proc/uptime && cat /proc/uptime && umount /proc/uptime
        mount --bind /tmp/ubc-mine-$$ /proc/user_beancounters && cat /proc/user_beancounters
        umount /proc/user_beancounters; rm /tmp/ubc-mine-$$
        head -1 /proc/user_beancounters";
    assert_eq!(container.sh(script).unwrap(), "mine\nmine\nVersion: 2.5\n");
}

#[test]
fn thousands_of_processes_are_listed_each_once() {
    if skip() {
        return;
    }
    let container = Container::start(&[]);
    let (_view, _process) = attached(&container);
    // Copies of the shell that wait for what never comes; they end with the
    // container.
    let script = "if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
            # The cgroup one is in may not allow so many.
            mkdir /sys/fs/cgroup/ubctest-many && echo $$ >/sys/fs/cgroup/ubctest-many/cgroup.procs
        fi
        mount -t tmpfs none /tmp && cd /tmp && mkfifo never && exec 9<>never && i=0
        while [ $i -lt 3000 ]; do (read -r never <&9) >/dev/null 2>&1 & i=$((i + 1)); done
        ls /proc/.proc | grep '^[0-9]' | sort >native; ls /proc | grep '^[0-9]' | sort >view
        uniq -d view; grep -c . view
        # All but those that listed and sorted.
        comm -3 native view | wc -l";
    let text = container.sh(script);
    drop(container);
    let cgroup = std::path::Path::new("/sys/fs/cgroup/ubctest-many");
    let started = std::time::Instant::now();
    while cgroup.exists() && std::fs::remove_dir(cgroup).is_err() {
        assert!(started.elapsed() < std::time::Duration::from_mins(1), "processes are left");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let text = text.unwrap();
    let numbers: Vec<u32> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers.len(), 2, "a process twice: {text}");
    assert!(numbers[0] > 3000 && numbers[1] <= 6, "{text}");
}
