use super::*;

#[test]
fn no_two_nodes_share_an_id() {
    let container = ContainerId::new(99_999_999).unwrap();
    let nodes = [
        Node::Root,
        Node::UserBeancounters,
        Node::BcDir,
        Node::BcResources,
        Node::Native,
        Node::Meminfo,
        Node::ContainerDir(container),
        Node::ContainerResources(container),
        Node::Static(0),
        Node::Static(4095),
        Node::Pid(1),
        Node::Pid(4_194_303),
        Node::PidEntry(4_194_303, 4095),
        Node::PidEntry(1, 1),
        Node::PidLink(4_194_303, 4095, 0x3ff_ffff),
        Node::PidLink(1, 1, 1),
        Node::RootLink(4095, 0x3ff_ffff),
        Node::RootLink(0, 0),
    ];
    for node in nodes {
        assert_eq!(Node::from_id(node.id()), Some(node));
        assert_eq!(nodes.iter().filter(|n| n.id() == node.id()).count(), 1, "{node:?}");
    }
}

#[test]
fn ids_never_given_out_name_nothing() {
    for id in [0, 7, 15 << 60, (1 << 60) + 100_000_000, (3 << 60) + 4096, (7 << 60) + 1] {
        assert_eq!(Node::from_id(id), None, "{id:#x}");
    }
}
