use ubc_core::ContainerId;

use super::*;

/// As runc 1.1 writes it.
const STATE: &str = r#"{"ociVersion":"1.0.2-dev","id":"web","status":"creating","pid":723,
    "bundle":"/b","annotations":{"org.openvz.ubc.ctid":"101","other":"x"}}"#;

fn read(text: &str) -> Result<State> {
    State::read(text.as_bytes())
}

#[test]
fn a_state_is_read_as_the_runtime_means_it() {
    let state = read(STATE).unwrap();
    assert!(!state.has_stopped());
    let adopt = state.adopt(Path::new("/b/rootfs")).unwrap();
    assert_eq!((adopt.id.map(ContainerId::get), adopt.pid), (Some(101), 723));
    assert_eq!(adopt.name.as_deref(), Some("web"));
    assert!(read(r#"{"ociVersion":"1.0.2","id":"web","status":"stopped"}"#).unwrap().has_stopped());
}

#[test]
fn a_state_that_is_none_is_told_in_one_line() {
    let long = format!(r#"{{"id":"{}"}}"#, "x".repeat(2000));
    for text in ["", "\0", "{", "[]", "{}", r#"{"id":""}"#, r#"{"id":"a","pid":"b"}"#, &long] {
        let failure = read(text).unwrap_err();
        assert_eq!(failure.kind, Kind::Usage);
        assert!(!failure.message.contains('\n'), "{failure}");
    }
}

#[test]
fn a_pid_or_id_that_cannot_be_is_refused() {
    for (from, to) in
        [("723", "0"), ("723", "-1"), ("\"101\"", "\"0\""), ("\"101\"", "\"1 or so\"")]
    {
        let state = read(&STATE.replace(from, to)).unwrap();
        assert_eq!(state.adopt(Path::new("/")).unwrap_err().kind, Kind::Usage, "{to}");
    }
}

#[test]
fn endless_input_is_refused_not_collected() {
    let failure = State::read(std::io::repeat(b' ')).unwrap_err();
    assert!(failure.message.contains("longer than"), "{failure}");
}

#[test]
fn a_relative_root_is_looked_for_in_the_bundle() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path();
    let state = read(&STATE.replace("/b", bundle.to_str().unwrap())).unwrap();
    assert_eq!(state.bundle().unwrap_err().kind, Kind::NoContainer);
    for (config, root) in [
        (r#"{"root":{"path":"rootfs"},"unknown":1}"#, Some(bundle.join("rootfs"))),
        (r#"{"root":{"path":"/images/7"}}"#, Some(PathBuf::from("/images/7"))),
        (r#"{"root":{"path":""}}"#, None),
        (r#"{"hostname":"web"}"#, None),
    ] {
        std::fs::write(bundle.join("config.json"), config).unwrap();
        assert_eq!(state.bundle().ok().map(|(root, _)| root), root, "{config}");
    }
}
