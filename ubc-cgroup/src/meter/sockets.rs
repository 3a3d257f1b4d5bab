//! The six socket rows, from sock_diag and the descriptors.
//!
//! Each network namespace of the container gets one netlink socket, kept for
//! the next reading. In a namespace of its own all sockets are the
//! container's, the orphaned ones no process holds any more included; in one
//! it shares with the host only those a process of it holds. Sockets that
//! sock_diag does not list (unbound, raw, packet, netlink, AF_ALG, vsock)
//! are counted by their descriptors; the kernel's own netlink sockets have
//! none and are not counted, as in 042stab. `/proc/net/tcp` is never read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use std::os::fd::AsFd;

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use rustix::thread::LinkNameSpaceType;
use ubc_core::Resource;

use super::netlink::{Dumper, inet_request, unix_request};
use super::netns::inside;
use super::{Findings, Meter, Pass, Rank};
use crate::parse;
use crate::walk::{NetNamespace, NsId, Protocol};
use crate::{Bound, Error, Result};

#[derive(Debug, Default)]
pub(crate) struct Sockets {
    /// One for each namespace of the last reading. A kept socket keeps its
    /// namespace alive, so those no longer met are dropped.
    dumpers: BTreeMap<NsId, Dumper>,
}

/// Which row a listed socket belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Tcp,
    Datagram,
    Unix,
}

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    tcp: u64,
    other: u64,
    tcp_send: u64,
    tcp_receive: u64,
    other_send: u64,
    datagram_receive: u64,
}

/// Which sockets count, and what they add up to.
struct Tally<'a> {
    held: &'a HashMap<u64, Protocol>,
    listed: HashSet<u64>,
    /// Only sockets no descriptor leads to: the others were counted already.
    only_unheld: bool,
    totals: Totals,
}

impl<'a> Tally<'a> {
    fn new(held: &'a HashMap<u64, Protocol>) -> Tally<'a> {
        Tally { held, listed: HashSet::new(), only_unheld: false, totals: Totals::default() }
    }

    /// Adds a listed socket if it is the container's. `own`: whether the
    /// whole namespace is.
    fn add(&mut self, socket: Listed, kind: Kind, own: bool) {
        let inode = u64::from(socket.inode);
        // The kernel lists one that is closed, or not accepted yet, as inode 0.
        if self.only_unheld && inode != 0 {
            return;
        }
        let held = self.held.contains_key(&inode);
        // A socket listed twice, while the table changed, is one.
        if (held && !self.listed.insert(inode)) || (!held && !own) {
            return;
        }
        let (send, receive) = (u64::from(socket.send), u64::from(socket.receive));
        let totals = &mut self.totals;
        if kind == Kind::Tcp {
            totals.tcp += 1;
            totals.tcp_send += send;
            totals.tcp_receive += receive;
        } else {
            totals.other += 1;
            totals.other_send += send;
            totals.datagram_receive += receive;
        }
    }

    /// Adds the held sockets that no dump listed.
    fn finish(mut self) -> Totals {
        for (inode, protocol) in self.held {
            if !self.listed.contains(inode) {
                match protocol {
                    Protocol::Tcp => self.totals.tcp += 1,
                    Protocol::Other => self.totals.other += 1,
                }
            }
        }
        self.totals
    }
}

/// A socket of a dump.
#[derive(Clone, Copy, Debug)]
struct Listed {
    inode: u32,
    send: u32,
    receive: u32,
}

impl Listed {
    fn parse(payload: &[u8], kind: Kind) -> Option<Listed> {
        match kind {
            Kind::Unix => parse::unix_socket(payload).map(|s| {
                // A unix datagram waits in the sender's account.
                Listed { inode: s.inode, send: s.send, receive: 0 }
            }),
            Kind::Tcp => parse::inet_socket(payload).map(|s| Listed {
                inode: s.inode,
                send: s.queued,
                receive: s.receive,
            }),
            Kind::Datagram => parse::inet_socket(payload).map(|s| Listed {
                inode: s.inode,
                send: s.send,
                receive: s.receive,
            }),
        }
    }
}

impl Meter for Sockets {
    fn name(&self) -> &'static str {
        "sock_diag"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        let lacking = ROWS.iter().any(|resource| !findings.has(*resource));
        let by_pass = ROWS.iter().any(|resource| findings.is_from(*resource, Rank::Pass));
        if !lacking && !by_pass {
            return Ok(());
        }
        let walk = pass.walk();
        self.dumpers.retain(|id, _| walk.namespaces.net.contains_key(id));
        let mut tally = Tally::new(&walk.descriptors.sockets);
        tally.only_unheld = !lacking;
        // Where the walk was cut short there may be others.
        let all_own = walk.cuts.is_empty() && !walk.namespaces.in_ours;
        let mut seen = Seen { all_own, ..Seen::default() };
        for (id, namespace) in &walk.namespaces.net {
            seen.all_own &= namespace.own;
            // Of a shared namespace the pass has seen all that has an owner.
            if !lacking && !namespace.own {
                continue;
            }
            let dumped = self.dumper(*id, namespace).and_then(|dumper| {
                dump(dumper, namespace.own, &mut tally, &mut seen, pass.bounds().sockets)
            });
            // A kernel without sock_diag loses these rows, not the reading.
            let reason = match dumped {
                Ok(true) => continue,
                Ok(false) => "too many sockets".to_owned(),
                Err(error) => error.to_string(),
            };
            for resource in ROWS {
                findings.absent(resource, reason.clone());
            }
            return Ok(());
        }
        if lacking {
            report(tally.finish(), seen, findings);
        } else {
            complete(tally.totals, seen, findings);
        }
        Ok(())
    }
}

/// How far the dumps could see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one independent gap each")]
struct Seen {
    /// Every network namespace is the container's own.
    all_own: bool,
    /// This kernel has no tcp_diag, udp_diag, unix_diag: then only sockets
    /// with a descriptor are known, and no buffers.
    no_tcp: bool,
    no_udp: bool,
    no_unix: bool,
}

impl Seen {
    fn lacks(&mut self, kind: Kind) -> &mut bool {
        match kind {
            Kind::Tcp => &mut self.no_tcp,
            Kind::Datagram => &mut self.no_udp,
            Kind::Unix => &mut self.no_unix,
        }
    }
}

pub(super) const ROWS: [Resource; 6] = [
    Resource::NumTcpSock,
    Resource::NumOtherSock,
    Resource::TcpSndBuf,
    Resource::TcpRcvBuf,
    Resource::OtherSockBuf,
    Resource::DgramRcvBuf,
];

fn report(totals: Totals, seen: Seen, findings: &mut Findings) {
    let no_other = seen.no_udp || seen.no_unix;
    for (resource, held, blind) in [
        (Resource::NumTcpSock, totals.tcp, seen.no_tcp),
        (Resource::NumOtherSock, totals.other, no_other),
    ] {
        // In a shared namespace a socket without a holder has no owner to name.
        let bound = if seen.all_own && !blind { Bound::Exact } else { Bound::Lower };
        let source = if blind { "fds" } else { "sock_diag + fds" };
        findings.fallback(resource, held, source, bound);
    }
    for (resource, held, blind) in [
        (Resource::TcpSndBuf, totals.tcp_send, seen.no_tcp),
        (Resource::TcpRcvBuf, totals.tcp_receive, seen.no_tcp),
        (Resource::OtherSockBuf, totals.other_send, no_other),
        (Resource::DgramRcvBuf, totals.datagram_receive, seen.no_udp),
    ] {
        if blind {
            findings.absent(resource, "this kernel lacks a sock_diag module (tcp, udp or unix)");
        } else {
            findings.fallback(resource, held, "sock_diag", Bound::Near);
        }
    }
}

/// Adds sockets without a descriptor to what a pass over descriptors found.
fn complete(totals: Totals, seen: Seen, findings: &mut Findings) {
    const SOURCE: &str = "bpf iter/task + sock_diag";
    let no_other = seen.no_udp || seen.no_unix;
    for (resource, more, blind) in [
        (Resource::NumTcpSock, totals.tcp, seen.no_tcp),
        (Resource::NumOtherSock, totals.other, no_other),
    ] {
        let bound = if seen.all_own && !blind { Bound::Exact } else { Bound::Lower };
        findings.complete(resource, more, SOURCE, bound);
    }
    for (resource, more) in [
        (Resource::TcpSndBuf, totals.tcp_send),
        (Resource::TcpRcvBuf, totals.tcp_receive),
        (Resource::OtherSockBuf, totals.other_send),
        (Resource::DgramRcvBuf, totals.datagram_receive),
    ] {
        findings.complete(resource, more, SOURCE, Bound::Near);
    }
}

impl Sockets {
    fn dumper(&mut self, id: NsId, namespace: &NetNamespace) -> Result<&mut Dumper> {
        Ok(match self.dumpers.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let open = || Socket::new(NETLINK_SOCK_DIAG);
                let socket = inside(namespace.handle.as_fd(), LinkNameSpaceType::Network, open)
                    .map_err(|source| Error::Netlink { request: "open sock_diag", source })?;
                entry.insert(Dumper::new(socket))
            }
        })
    }
}

/// Adds the sockets of one namespace; false when there are too many.
fn dump(
    dumper: &mut Dumper,
    own: bool,
    tally: &mut Tally<'_>,
    seen: &mut Seen,
    bound: usize,
) -> Result<bool> {
    for (request, kind, required) in [
        (inet_request(libc::AF_INET, libc::IPPROTO_TCP), Kind::Tcp, true),
        (inet_request(libc::AF_INET6, libc::IPPROTO_TCP), Kind::Tcp, false),
        (inet_request(libc::AF_INET, libc::IPPROTO_UDP), Kind::Datagram, true),
        (inet_request(libc::AF_INET6, libc::IPPROTO_UDP), Kind::Datagram, false),
        (unix_request(), Kind::Unix, true),
    ] {
        let gathered = dumper.dump(&request, Vec::new, |list, payload| {
            list.extend(Listed::parse(payload, kind));
            list.len() <= bound
        });
        match gathered {
            Ok((list, true)) => list.into_iter().for_each(|socket| tally.add(socket, kind, own)),
            Ok((_, false)) => return Ok(false),
            // No such module; a kernel without IPv6 has no such sockets.
            Err(Error::Netlink { source, .. }) if source.raw_os_error() == Some(libc::ENOENT) => {
                *seen.lacks(kind) |= required;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
