//! Cgroups from creation to removal, and readings across it.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

mod common;

use common::Container;
use ubc_cgroup::{Cgroup, Enforced, Error, Host, Limiter, Meters};
use ubc_core::{Limits, PerResource, Resource};

#[test]
fn a_removed_cgroup_is_told_from_an_empty_one() {
    let Some(container) = Container::new() else { return };
    let name = format!("{}/gone", container.name);
    let cgroup = Cgroup::create(&container.host, &name).unwrap();
    let mut meters = Meters::open(&container.host, cgroup).unwrap();
    let rows = meters.read().unwrap();
    assert_eq!(rows[Resource::NumProc].held, Some(0));
    assert_eq!(rows[Resource::NumFile].held, Some(0));
    Cgroup::open(&container.host, &name).unwrap().remove().unwrap();
    assert!(matches!(meters.read(), Err(Error::Removed { .. })), "{:?}", meters.read());
    // The same name is another cgroup.
    Cgroup::create(&container.host, &name).unwrap();
    assert!(matches!(meters.read(), Err(Error::Removed { .. })), "{:?}", meters.read());
    assert!(matches!(meters.cgroup().add(std::process::id()), Err(Error::Removed { .. })));
}

#[test]
fn kill_and_remove_take_nested_cgroups_and_forking_children_with_them() {
    let Some(container) = Container::new() else { return };
    let inner = container.nested("a/b/c");
    let mut actor = container
        .python(&[], "for _ in range(20):\n    if os.fork() == 0: time.sleep(1000)\nstage()");
    inner.add(actor.pid()).unwrap();
    actor.next();
    let cgroup = Cgroup::open(&container.host, &format!("{}/a", container.name)).unwrap();
    assert!(cgroup.populated().unwrap());
    let refused = Cgroup::open(&container.host, &format!("{}/a", container.name)).unwrap().remove();
    assert!(refused.unwrap_err().to_string().contains("busy"));
    cgroup.kill().unwrap();
    assert!(!cgroup.populated().unwrap());
    cgroup.remove().unwrap();
    assert!(Cgroup::open(&container.host, &format!("{}/a", container.name)).is_err());
}

#[test]
fn a_name_cannot_lead_out_of_the_hierarchy() {
    let Some(container) = Container::new() else { return };
    for name in ["../memory", "a/../../b", "", "/", "a\nb", "cgroup.procs", &"x".repeat(256)] {
        let error = Cgroup::create(&container.host, name).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{name:?}: {error}");
    }
    assert!(Cgroup::create(&container.host, &container.name).is_err(), "it exists");
}

#[test]
fn what_a_failed_create_made_is_removed_again() {
    let Some(container) = Container::new() else { return };
    // 255 bytes are a name, but the kernel's path ends at 4096: the last
    // components cannot be made.
    let deep = format!("{}/{}", container.name, [&*"y".repeat(250); 20].join("/"));
    assert!(Cgroup::create(&container.host, &deep).is_err());
    let left = std::fs::read_dir(container.cgroup().path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_type().unwrap().is_dir())
        .count();
    assert_eq!(left, 0);
}

#[test]
fn create_enables_our_controllers_and_leaves_others_alone() {
    let Some(container) = Container::new() else { return };
    let inner = container.inner("inner");
    let parent = container.cgroup().controllers().unwrap();
    let ours = ["memory", "pids", "cpu", "cpuset", "io"];
    for name in container.host.controllers() {
        if ours.contains(&name.as_str()) {
            assert!(inner.controllers().unwrap().contains(name), "{name}");
        } else {
            assert!(!inner.controllers().unwrap().contains(name), "{name}");
        }
    }
    // systemd turns controllers off that no unit of its own needs, and the
    // files with all they hold are gone. Below one more level it cannot.
    container.inner("outer/nested");
    for name in parent.iter().filter(|name| ours.contains(&name.as_str())) {
        let control = container.cgroup().path().join("cgroup.subtree_control");
        let error = std::fs::write(control, format!("-{name}")).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy, "{name}");
    }
}

#[test]
fn a_v1_path_is_refused_with_a_word_about_v2() {
    let Some(container) = Container::new() else { return };
    let table = std::fs::read_to_string("/proc/self/mounts").unwrap();
    let Some(v1) = table.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (point, kind) = (words.nth(1)?, words.next()?);
        (kind == "cgroup").then(|| point.to_owned())
    }) else {
        common::skip("no cgroup v1 hierarchy on this machine");
        return;
    };
    let error = Cgroup::open(&container.host, &format!("{v1}/x")).unwrap_err();
    assert!(matches!(error, Error::CgroupV1 { .. }), "{error}");
    assert!(error.to_string().contains("is cgroup v1; ubc needs cgroup v2"), "{error}");
    let error = Host::probe_mount(std::path::Path::new(&v1)).unwrap_err();
    assert!(matches!(error, Error::CgroupV1 { .. }), "{error}");
    assert!(Host::probe_mount(container.host.mount()).is_ok());
}

#[test]
fn no_claim_of_enforcement_survives_without_a_refusal() {
    let Some(container) = Container::new() else { return };
    // What a maker that was killed has left: there is no such pid.
    std::fs::create_dir(container.host.mount().join("ubc-selftest-4194305-0")).unwrap();
    let rows = container.host.self_test().unwrap();
    for (resource, status) in rows.iter() {
        let controller = match resource {
            Resource::NumProc => Some("pids"),
            Resource::PhysPages => Some("memory"),
            _ => None,
        };
        match (&status.enforced, controller) {
            (Enforced::By { proven, .. }, Some(name)) => {
                assert!(container.host.has_controller(name));
                assert!(proven, "{resource}");
            }
            (Enforced::By { proven, .. }, None) => {
                assert_eq!((resource, proven), (Resource::SwapPages, &false));
            }
            (_, Some(name)) => assert!(!container.host.has_controller(name), "{resource}"),
            (_, None) => {}
        }
    }
    let left = std::fs::read_dir(container.host.mount())
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("ubc-selftest-"));
    assert!(!left, "the scratch cgroup stayed behind");
}

#[test]
fn a_limit_without_a_controller_is_reported_not_claimed() {
    let Some(container) = Container::new() else { return };
    let limiter = Limiter::new(&container.cgroup()).unwrap();
    let limits = PerResource::from_fn(|_| Some(Limits { barrier: 1000, limit: 1000 }));
    let enforced = limiter.apply(&limits).unwrap();
    let controllers = container.cgroup().controllers().unwrap();
    for (resource, row) in enforced.iter() {
        let file = match resource {
            Resource::NumProc => "pids",
            Resource::PhysPages | Resource::SwapPages | Resource::OomGuarPages => "memory",
            _ => "",
        };
        let present = controllers.iter().any(|name| name == file);
        assert_eq!(matches!(row, Enforced::ObservedOnly(_)), !present, "{resource}: {row}");
    }
}
