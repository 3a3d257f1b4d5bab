use std::collections::HashMap;

use ubc_core::Resource;

use super::{Kind, Listed, Seen, Tally, Totals, report};
use crate::meter::Findings;
use crate::walk::Protocol;

fn listed(inode: u32) -> Listed {
    Listed { inode, send: 10, receive: 1 }
}

#[test]
fn orphans_count_only_where_the_namespace_is_the_containers() {
    let held = HashMap::from([(5, Protocol::Tcp), (6, Protocol::Other)]);
    for (own, tcp, send) in [(true, 3, 30), (false, 1, 10)] {
        let mut tally = Tally::new(&held);
        for inode in [5, 0, 99] {
            tally.add(listed(inode), Kind::Tcp, own);
        }
        let totals = tally.finish();
        assert_eq!((totals.tcp, totals.tcp_send, totals.other), (tcp, send, 1), "own: {own}");
    }
}

#[test]
fn a_socket_listed_twice_is_one() {
    let held = HashMap::from([(5, Protocol::Other)]);
    let mut tally = Tally::new(&held);
    tally.add(listed(5), Kind::Datagram, true);
    tally.add(listed(5), Kind::Datagram, true);
    let totals = tally.finish();
    assert_eq!((totals.other, totals.datagram_receive), (1, 1));
}

#[test]
fn a_kernel_without_a_diag_module_does_not_claim_empty_buffers() {
    let mut findings = Findings::default();
    let totals = Totals { tcp: 2, other: 3, ..Totals::default() };
    report(totals, Seen { all_own: true, no_udp: true, ..Seen::default() }, &mut findings);
    let (rows, metered) = findings.finish();
    assert_eq!(metered[Resource::NumTcpSock].to_string(), "sock_diag + fds");
    assert_eq!(rows[Resource::TcpSndBuf].held, Some(0));
    assert_eq!(rows[Resource::NumOtherSock].held, Some(3));
    assert_eq!(metered[Resource::NumOtherSock].to_string(), "fds (lower bound)");
    for resource in [Resource::OtherSockBuf, Resource::DgramRcvBuf] {
        assert_eq!(rows[resource].held, None);
        assert!(!metered[resource].is_present());
    }
}
