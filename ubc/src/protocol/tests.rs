use std::collections::BTreeMap;

use ubc_core::{PerResource, Reading};
use ubc_node::ViewStatus;

use super::*;

#[test]
fn an_endless_line_is_refused_not_collected() {
    let endless = io::repeat(b'x').take(Request::MAX_LINE * 4);
    let error = receive::<Request>(&mut io::BufReader::new(endless)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn a_list_of_a_thousand_containers_is_no_endless_line() {
    let status = Status {
        metered_by: "memory.stat".to_owned(),
        enforced_by: "nobody".to_owned(),
        measured: true,
        enforced: false,
    };
    let container = |id| Container {
        id,
        pid: Some(1),
        cgroup: format!("ubc/{id}"),
        view: Some(ViewStatus { way: "procroot".to_owned(), meminfo: "unchanged".to_owned() }),
        reading: Reading { id, rows: PerResource::default() },
        configured: PerResource::default(),
        set_by: PerResource::default(),
        schedule: BTreeMap::new(),
        status: PerResource::from_fn(|_| status.clone()),
    };
    let containers = (1..=1000).map(|id| container(ContainerId::new(id).unwrap())).collect();
    let list = Response::Containers { containers };
    let mut bytes = Vec::new();
    send(&mut bytes, &list).unwrap();
    assert_eq!(receive(&mut &bytes[..]).unwrap(), Some(list));
}

#[test]
fn half_a_message_is_not_taken_for_a_whole_one() {
    let mut bytes = Vec::new();
    let id = ContainerId::new(7).unwrap();
    send(&mut bytes, &Request::Show { id }).unwrap();
    assert!(
        matches!(receive(&mut &bytes[..]), Ok(Some(Request::Show { id: seven })) if seven == id)
    );
    bytes.pop();
    let error = receive::<Request>(&mut &bytes[..]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(matches!(receive::<Request>(&mut &b""[..]), Ok(None)));
}

#[test]
fn a_schedule_arrives_as_it_was_sent_and_with_good_values_only() {
    let mut schedule = ubc_cgroup::Schedule::default();
    for (knob, value) in
        ubc_cgroup::Knob::ALL.into_iter().zip(["9", "25%", "2", "0-2", "all", "7", "9", "0"])
    {
        schedule.set(knob, value).unwrap();
    }
    let request = || Request::Set {
        id: ContainerId::new(7).unwrap(),
        limits: Box::default(),
        schedule: Box::new(schedule.clone().into()),
        strict: false,
    };
    let mut bytes = Vec::new();
    send(&mut bytes, &request()).unwrap();
    assert_eq!(receive(&mut &bytes[..]).unwrap(), Some(request()));
    let text = String::from_utf8(bytes).unwrap();
    for (good, bad) in [("\"25%\"", "\"25 %\""), ("\"7\"", "\"8\""), ("cpuunits", "cpuunit")] {
        let line = text.replace(good, bad);
        assert_ne!(line, text);
        assert!(receive::<Request>(&mut line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn unknown_requests_and_fields_are_refused() {
    for line in [
        "{\"op\":\"format-disk\"}\n",
        "{\"op\":\"show\",\"id\":7,\"force\":true}\n",
        "{\"op\":\"show\",\"id\":100000000}\n",
        "{\"op\":\"show\"}\n",
        "{\"op\":\"attach\",\"id\":7,\"pid\":1}\n",
        "{\"op\":\"attach\",\"id\":7,\"pid\":1,\"meminfo\":\"pages:0\"}\n",
        "[]\n",
        "\n",
    ] {
        assert!(receive::<Request>(&mut line.as_bytes()).is_err(), "{line}");
    }
}

#[test]
fn a_size_of_memory_arrives_as_it_was_given() {
    for text in ["none", "pages:65536", "privvmpages:2"] {
        let meminfo = MemorySize::parse(text).unwrap();
        let id = ContainerId::new(7).unwrap();
        let mut bytes = Vec::new();
        send(&mut bytes, &Request::Attach { id, pid: 1, meminfo }).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(&format!("\"meminfo\":\"{text}\"")));
        assert_eq!(
            receive(&mut &bytes[..]).unwrap(),
            Some(Request::Attach { id, pid: 1, meminfo })
        );
    }
}
