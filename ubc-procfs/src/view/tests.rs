use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use ubc_core::{ContainerId, PerResource, Reading, Row};

use super::*;

struct Two;

impl Source for Two {
    fn ids(&self) -> Vec<ContainerId> {
        [101, 0].map(|id| ContainerId::new(id).unwrap()).to_vec()
    }

    fn reading(&self, id: ContainerId) -> io::Result<Reading> {
        Ok(Reading { id, rows: PerResource::from_fn(|_| Row::default()) })
    }
}

fn view() -> View {
    View::plain(Arc::new(Two), Owner::default())
}

fn find(view: &View, path: &[&CStr]) -> io::Result<Node> {
    path.iter().try_fold(Node::Root, |node, name| {
        view.find(&Context::new(), node, name).map(|found| found.0)
    })
}

#[test]
fn names_that_are_no_process_are_not_taken_for_one() {
    for name in [c"", c"0", c"01", c"-1", c"+1", c"1a", c"4194304", c"99999999999999999999"] {
        assert_eq!(parse_pid(name), None, "{name:?}");
    }
    assert_eq!(parse_pid(c"1"), Some(1));
    assert_eq!(parse_pid(c"4194303"), Some(4_194_303));
}

#[test]
fn a_plain_view_has_no_processes_and_no_native_directory() {
    let view = view();
    for name in [c"1", c"self", c"meminfo", c".proc"] {
        assert_eq!(
            find(&view, &[name]).unwrap_err().raw_os_error(),
            Some(Errno::NOENT.raw_os_error())
        );
    }
}

#[test]
fn a_container_the_source_does_not_know_is_not_there() {
    let view = view();
    assert!(find(&view, &[c"bc", c"101", c"resources"]).is_ok());
    for name in [c"102", c"0101", c"101:", c"-0", c"100000000"] {
        assert!(find(&view, &[c"bc", name]).is_err(), "{name:?}");
    }
}

#[test]
fn the_announced_size_of_every_file_is_the_size_of_its_text() {
    let view = view();
    for path in [&[c"user_beancounters"][..], &[c"bc", c"resources"], &[c"bc", c"0", c"resources"]]
    {
        let node = find(&view, path).unwrap();
        let size = view.attr(node).unwrap().0.st_size;
        assert_eq!(usize::try_from(size).unwrap(), view.text(node).unwrap().len(), "{path:?}");
    }
}

#[test]
fn a_listing_cut_anywhere_goes_on_where_it_stopped() {
    let view = view();
    for room in 1..6 {
        let (mut seen, mut offset) = (Vec::new(), 0);
        loop {
            let mut page = Vec::new();
            view.list(&Context::new(), Node::BcDir, offset, &mut |entry| {
                if page.len() == room {
                    return Ok(0);
                }
                page.push((entry.name.to_vec(), entry.offset));
                Ok(1)
            })
            .unwrap();
            let Some(last) = page.last() else { break };
            offset = last.1;
            seen.extend(page.into_iter().map(|(name, _)| name));
        }
        let names: HashSet<&[u8]> = seen.iter().map(Vec::as_slice).collect();
        assert_eq!(seen.len(), names.len(), "a name came twice");
        assert_eq!(names, HashSet::from([&b"."[..], b"..", b"resources", b"101", b"0"]));
    }
}
