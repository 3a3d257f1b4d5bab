use std::io;

use ubc_cgroup::{Findings, Meter, Pass, Round};
use ubc_core::{ContainerId, Resource};

use crate::{Create, ErrorKind, Node, Options};

/// What a container does that makes every look at it fail.
struct Broken;

impl Meter for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn read(&mut self, _: &Pass<'_>, _: &mut Findings) -> ubc_cgroup::Result<()> {
        Err(ubc_cgroup::Error::NoCgroup2)
    }
}

#[test]
fn a_container_that_cannot_be_looked_at_hides_no_other() {
    let node = match Node::open(Options::default()) {
        Ok(node) => node,
        Err(error) if matches!(error.kind(), ErrorKind::NoPermission | ErrorKind::Unavailable) => {
            println!("SKIP: {error}");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    let ids = [90_000_750, 90_000_751].map(|id| ContainerId::new(id).unwrap());
    let owned = ids.map(|id| node.create(&Create::new(id)).unwrap().0);
    owned[0].metering.lock().add(Box::new(Broken));
    let told = node.describe().unwrap();
    assert_eq!(told.iter().map(|one| one.id).collect::<Vec<_>>(), [ids[1], ids[0]]);
    let by = |index: usize| &told[index].status[Resource::NumProc];
    assert!(by(0).measured && !by(1).measured, "{told:?}");
    assert!(by(1).metered_by.starts_with("absent: not read: container 90000750: "), "{:?}", by(1));
    // Whoever asks for it alone is told why there is nothing.
    assert_eq!(owned[0].describe().unwrap_err().kind(), ErrorKind::System);
    let round = Round::default();
    assert_eq!(owned[0].read(&round).unwrap_err().kind(), io::ErrorKind::Other);
    assert_eq!(owned[0].read_or_last(&round).unwrap().id, ids[0]);
}
