use super::*;

fn read(line: &str) -> CommandLine {
    CommandLine::read(&line.split_whitespace().map(Into::into).collect::<Vec<_>>())
}

/// Verb, bundle and name.
fn made(line: &str) -> (Verb, String, Option<String>) {
    let line = read(line);
    (line.verb, line.bundle.display().to_string(), line.name)
}

#[test]
fn the_bundle_is_found_as_engines_name_it() {
    let web = || Some("web".to_owned());
    for (line, bundle) in [
        // containerd's shim and docker
        (
            "--root /run/containerd/runc/moby --log /b/log.json --log-format json \
             --systemd-cgroup create --bundle /b --pid-file /b/init.pid web",
            "/b",
        ),
        // conmon
        (
            "--root /run/crun --log-format=json --log /u/oci-log --systemd-cgroup create \
             --bundle /b --pid-file /b/pidfile --console-socket /b/attach web",
            "/b",
        ),
        ("run web", "."),
        ("-root /r run -d -b /b web", "/b"),
        ("run --detach --bundle=/b web", "/b"),
        // crun, youki
        ("--cgroup-manager systemd run -b/b --no-pivot web", "/b"),
        ("-r /r -l /l create -b /b web", "/b"),
        ("-s -r /r create -b /b --preserve-fds 3 web", "/b"),
    ] {
        assert_eq!(made(line), (Verb::Make, bundle.to_owned(), web()), "{line}");
    }
}

#[test]
fn what_makes_no_container_is_passed_through() {
    for line in [
        "",
        "--version",
        "--root create state web",
        "--root /r",
        "features",
        "exec -d web create --bundle /b",
        "delete --force web",
        "checkpoint --help",
        "kill web KILL",
        "create --help",
        "run -h",
    ] {
        assert_eq!(read(line).verb, Verb::Other, "{line}");
    }
}

#[test]
fn a_value_that_looks_like_an_option_is_none() {
    let line = read("--log run --log-format json create --pid-file --bundle web");
    assert_eq!((line.verb, line.name.as_deref()), (Verb::Make, Some("web")));
    assert_eq!(line.bundle, Path::new("."));
    assert_eq!((line.log_file(), line.log_is_json), (Some(Path::new("run")), true));
}

#[test]
fn another_file_and_other_logs_of_crun_are_known() {
    let line = read("--log=file:/l create -f /c.json -b /b web");
    assert_eq!((line.config(), line.log_file()), ("/c.json".into(), Some(Path::new("/l"))));
    assert_eq!(read("--log=journald:x create web").log_file(), None);
    assert_eq!(read("create -b /b web").config(), Path::new("/b/config.json"));
}

#[test]
fn the_option_that_is_ours_is_told_from_the_runtimes() {
    let given = |line: &str| read(line).on_error;
    assert_eq!(given("--on-error=warn create web"), Some((0..1, "warn".into())));
    assert_eq!(given("--root /r --on-error fail create web"), Some((2..4, "fail".into())));
    assert_eq!(given("--log x --on-error"), Some((2..3, String::new())));
    assert_eq!(given("exec web prog --on-error=warn"), None);
    assert_eq!(given("run --on-error=warn web"), None);
    assert_eq!(read("--on-error warn create -b /b web").bundle, Path::new("/b"));
}

#[test]
fn criu_s_verbs_are_read_as_engines_write_them() {
    let told = |line: &str| {
        let line = read(line);
        let images = line.images.display().to_string();
        (line.verb, line.before, images, line.name, line.is_part, line.detaches)
    };
    let web = || Some("web".to_owned());
    let images = || "/i".to_owned();
    for (line, expected) in [
        // podman
        (
            "--root /r checkpoint --image-path /i --work-path /w --tcp-established web",
            (Verb::Checkpoint, 2, images(), web(), false, false),
        ),
        // containerd's shim
        (
            "--root /r --log /l --log-format json checkpoint --image-path /i --work-path /w \
             --leave-running --empty-ns network web",
            (Verb::Checkpoint, 6, images(), web(), false, false),
        ),
        // conmon
        (
            "restore --bundle /b --pid-file /p --detach --image-path /i --work-path /w web",
            (Verb::Restore, 0, images(), web(), false, true),
        ),
        ("restore -d web", (Verb::Restore, 0, "checkpoint".to_owned(), web(), false, true)),
        (
            "restore --detach=false --image-path=/i web",
            (Verb::Restore, 0, images(), web(), false, false),
        ),
        (
            "checkpoint --pre-dump --parent-path ../p --image-path /i web",
            (Verb::Checkpoint, 0, images(), web(), true, false),
        ),
    ] {
        assert_eq!(told(line), expected, "{line}");
    }
    assert_eq!(read("restore --image-path /i --bundle /b web").bundle, Path::new("/b"));
}
