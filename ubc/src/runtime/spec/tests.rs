use ubc_config::Tree;

use super::*;

const ARGS: &[&str] = &["ubc", "--run-dir", "/r", "hook"];

fn args() -> Vec<String> {
    ARGS.iter().map(|word| (*word).to_owned()).collect()
}

/// What becomes of a config.json whose annotations are all that is said.
fn made(text: &str) -> std::result::Result<String, String> {
    let dir = tempfile::tempdir().unwrap();
    let mut spec = Spec::parse(text.as_bytes())?;
    let ceiling = spec.ceiling().unwrap()?;
    let tree = Tree::new(dir.path());
    let wanted = spec.annotations()?.resolve(&tree, None, &ceiling).unwrap();
    spec.limit(&wanted).unwrap()?;
    spec.hook(&Hook { program: Path::new("/usr/bin/ubc"), args: &args() })?;
    Ok(String::from_utf8(spec.to_text()).unwrap())
}

fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(&made(text).unwrap()).unwrap()
}

#[test]
fn what_is_not_ours_stays_to_the_byte() {
    let odd =
        r#""x-numbers": [1.50, 1e400, 18446744073709551616, -0, "\u00e9"],"z":{ "b":1 , "a":2 }"#;
    let text = format!(r#"{{{odd},"linux":{{"seccomp":{{ "n" : 0.10 }}}}}}"#);
    let made = made(&text).unwrap();
    for kept in [
        r#"[1.50, 1e400, 18446744073709551616, -0, "\u00e9"]"#,
        r#"{ "b":1 , "a":2 }"#,
        "{ \"n\" : 0.10 }",
    ] {
        assert!(made.contains(kept), "{made}");
    }
}

#[test]
fn the_hook_is_added_once_and_behind_others() {
    let once = made(r#"{"hooks":{"createRuntime":[{"path":"/bin/other"}],"x":null}}"#).unwrap();
    assert_eq!(made(&once).unwrap(), once);
    let spec: serde_json::Value = serde_json::from_str(&once).unwrap();
    let hooks = &spec["hooks"];
    assert_eq!(hooks["createRuntime"][0], json!({ "path": "/bin/other" }));
    let ours = |stage| {
        let args = [ARGS, &[stage]].concat();
        json!({ "path": "/usr/bin/ubc", "args": args })
    };
    assert_eq!(hooks["createRuntime"][1], ours("createRuntime"));
    assert_eq!(hooks["poststop"], json!([ours("poststop")]));
    // podman's hooks.d was there before, with options of its own.
    let theirs = json!({ "path": "/opt/ubc", "args": ["ubc", "hook", "--on-error=warn"] });
    for stage in ["createRuntime", "prestart"] {
        let spec = value(&json!({ "hooks": { stage: [theirs] } }).to_string());
        assert_eq!(spec["hooks"][stage], json!([theirs]));
        assert_eq!(spec["hooks"]["createRuntime"].as_array().is_some(), stage == "createRuntime");
        assert_eq!(spec["hooks"]["poststop"], json!([ours("poststop")]));
    }
}

#[test]
fn limits_are_the_lower_of_both_and_nothing_is_lifted() {
    let resources = |limits: &str, annotations: &str| {
        value(&format!(
            r#"{{"linux":{{"resources":{limits}}},"annotations":{{{annotations}}}}}"#
        ))["linux"]["resources"]
            .clone()
    };
    let numproc = r#""org.openvz.ubc.numproc":"200""#;
    let ram = r#""org.openvz.ubc.ram":"256M""#;
    for (limits, annotations, becomes) in [
        ("{}", numproc, json!({ "pids": { "limit": 200 } })),
        (r#"{"pids":{"limit":2048,"x":1}}"#, numproc, json!({ "pids": { "limit": 200, "x": 1 } })),
        (r#"{"pids":{"limit":100}}"#, numproc, json!({ "pids": { "limit": 100 } })),
        (r#"{"pids":{"limit":-1}}"#, numproc, json!({ "pids": { "limit": 200 } })),
        (r#"{"pids":null}"#, numproc, json!({ "pids": { "limit": 200 } })),
        // The runtime's own init could not start.
        ("{}", r#""org.openvz.ubc.numproc":"5","org.openvz.ubc.ram":"1M""#, json!({})),
        ("{}", r#""org.openvz.ubc.numproc":"unlimited""#, json!({})),
        ("{}", ram, json!({ "memory": { "limit": 268_435_456 } })),
        // Half a gigabyte and as much swap: the swap stays what it was.
        (
            r#"{"memory":{"limit":536870912,"swap":1073741824}}"#,
            ram,
            json!({ "memory": { "limit": 268_435_456, "swap": 805_306_368 } }),
        ),
        (r#"{"memory":{"limit":67108864}}"#, ram, json!({ "memory": { "limit": 67_108_864 } })),
    ] {
        assert_eq!(resources(limits, annotations), becomes, "{limits} {annotations}");
    }
}

#[test]
fn a_config_that_is_none_is_told_with_what_is_wrong() {
    for (text, says) in [
        ("", "not as OCI has it: EOF"),
        ("[]", "not as OCI has it: invalid type"),
        (r#"{"hooks":{},"hooks":{}}"#, "not as OCI has it: \"hooks\" is there twice"),
        (r#"{"hooks":[]}"#, "not as OCI has it: hooks: invalid type"),
        (r#"{"hooks":{"createRuntime":{}}}"#, "not as OCI has it: hooks.createRuntime: "),
        (r#"{"linux":7}"#, "not as OCI has it: linux: "),
        (r#"{"annotations":7}"#, "not as OCI has it: annotations: "),
        (r#"{"annotations":{"org.openvz.ubc.numproc":7}}"#, "annotation org.openvz.ubc.numproc: "),
        (
            r#"{"annotations":{"org.openvz.ubc.numfile":"5k"}}"#,
            "annotation org.openvz.ubc.numfile: \"5k\": a count has no suffix 'k'; accepted: ",
        ),
        (
            r#"{"annotations":{"org.openvz.ubc.numfiles":"5"}}"#,
            "annotation org.openvz.ubc.numfiles=\"5\": no such name; accepted: org.openvz.ubc. and",
        ),
    ] {
        let error = made(text).unwrap_err();
        assert!(error.starts_with(says), "{text}: {error}");
    }
}

#[test]
fn a_pods_own_container_is_known_by_what_its_engine_says() {
    let is = |text: &str| Spec::parse(text.as_bytes()).unwrap().is_sandbox();
    assert!(is(r#"{"annotations":{"io.kubernetes.cri.container-type":"sandbox"}}"#));
    assert!(is(r#"{"annotations":{"io.kubernetes.cri-o.ContainerType":"sandbox"}}"#));
    assert!(!is(r#"{"annotations":{"io.kubernetes.cri.container-type":"container"}}"#));
    assert!(!is("{}"));
}

#[test]
fn a_pod_that_containerd_makes_is_counted_once_and_changed_in_nothing_else() {
    // What containerd 1.7 wrote for a kubelet's requests, with the pod's annotations on both.
    let (sandbox, container) =
        (include_str!("cri/sandbox.json"), include_str!("cri/container.json"));
    let read = |text: &str| Spec::parse(text.as_bytes()).unwrap();
    for text in [sandbox, container] {
        assert_eq!(read(text).annotations().unwrap().ctid().unwrap().get(), 90_001_815);
        assert_eq!(read(text).needs_own_mounts(), Ok(()));
    }
    assert!(read(sandbox).is_sandbox());
    assert!(!read(container).is_sandbox());
    let mut made = value(container);
    let hooks = made.as_object_mut().unwrap().remove("hooks").unwrap();
    assert_eq!(hooks.as_object().unwrap().keys().collect::<Vec<_>>(), STAGES);
    assert_eq!(made, serde_json::from_str::<serde_json::Value>(container).unwrap());
    let wrong = container.replace("300:300", "many");
    let error = read(&wrong).annotations().unwrap_err();
    assert!(error.starts_with("annotation org.openvz.ubc.numfile: "), "{error}");
}

#[test]
fn a_container_with_the_hosts_mounts_is_refused() {
    let own = |namespaces: &str| {
        let text = format!(r#"{{"linux":{{"namespaces":{namespaces}}}}}"#);
        Spec::parse(text.as_bytes()).unwrap().needs_own_mounts()
    };
    assert_eq!(own(r#"[{"type":"pid"},{"type":"mount"}]"#), Ok(()));
    for none in ["null", "[]", r#"[{"type":"pid"}]"#] {
        assert!(own(none).unwrap_err().starts_with("linux.namespaces: none of type mount"));
    }
    let error = own(r#"[{"kind":"pid"}]"#).unwrap_err();
    assert!(error.starts_with("not as OCI has it: linux.namespaces: "), "{error}");
}

#[test]
fn the_default_profile_is_told_unless_one_is_told_already() {
    let told = |text: &str| {
        let mut spec = Spec::parse(text.as_bytes()).unwrap();
        spec.default_profile("light");
        serde_json::from_slice::<serde_json::Value>(&spec.to_text()).unwrap()["annotations"].clone()
    };
    let key = "org.openvz.ubc.default-profile";
    assert_eq!(told("{}"), json!({ key: "light" }));
    assert_eq!(told(r#"{"annotations":{"a":"b"}}"#), json!({ "a": "b", key: "light" }));
    let basic = json!({ "annotations": { key: "basic" } });
    assert_eq!(told(&basic.to_string()), basic["annotations"]);
}
