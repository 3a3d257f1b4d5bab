//! numiptent: packet filter rules of the container's network namespaces.
//!
//! nf_tables rules are counted from a netlink dump, one reply a rule, without
//! looking into them: their contents are the container's to choose.
//! iptables-nft keeps its rules there too. A legacy table is asked for its
//! number of entries, which is what 042stab charged: policies and the closing
//! error entry count.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use netlink_sys::Socket;
use netlink_sys::protocols::NETLINK_NETFILTER;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::LinkNameSpaceType;
use ubc_core::Resource;

use super::netlink::{Dumper, rules_request};
use super::netns::inside;
use super::{Findings, Meter, Pass};
use crate::walk::{NetNamespace, NsId};
use crate::{Bound, Error, Result, sys};

/// More rules than any packet passes in reasonable time.
const MOST: u64 = 4 << 20;

#[derive(Debug, Default)]
pub(crate) struct Rules {
    dumpers: BTreeMap<NsId, Dumper>,
}

impl Meter for Rules {
    fn name(&self) -> &'static str {
        "netfilter"
    }

    fn read(&mut self, pass: &Pass<'_>, findings: &mut Findings) -> Result<()> {
        if findings.has(Resource::NumIptEnt) {
            return Ok(());
        }
        let namespaces = &pass.walk().namespaces.net;
        self.dumpers.retain(|id, _| namespaces.contains_key(id));
        let mut rules = 0;
        if pass.walk().namespaces.in_ours || namespaces.values().any(|namespace| !namespace.own) {
            findings.absent(Resource::NumIptEnt, "network namespace is the host's");
            return Ok(());
        }
        for (id, namespace) in namespaces {
            match self.count(*id, namespace) {
                Ok(number) => rules += number,
                Err(error) => {
                    findings.absent(Resource::NumIptEnt, error.to_string());
                    return Ok(());
                }
            }
        }
        findings.fallback(Resource::NumIptEnt, rules, "nf_tables + iptables", Bound::Near);
        Ok(())
    }
}

impl Rules {
    fn count(&mut self, id: NsId, namespace: &NetNamespace) -> Result<u64> {
        Ok(self.nf_tables(id, namespace)? + legacy(namespace)?)
    }

    fn nf_tables(&mut self, id: NsId, namespace: &NetNamespace) -> Result<u64> {
        let dumper = match self.dumpers.entry(id) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let open = || Socket::new(NETLINK_NETFILTER);
                match inside(namespace.handle.as_fd(), LinkNameSpaceType::Network, open) {
                    Ok(socket) => entry.insert(Dumper::new(socket)),
                    // No nfnetlink in this kernel: no such rules.
                    Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                        return Ok(0);
                    }
                    Err(source) => {
                        return Err(Error::Netlink { request: "open netfilter", source });
                    }
                }
            }
        };
        let answer = dumper.dump(
            &rules_request(),
            || 0,
            |rules: &mut u64, _| {
                *rules += 1;
                *rules <= MOST
            },
        );
        match answer {
            Ok((rules, true)) => Ok(rules),
            Ok((_, false)) => Err(Error::Netlink {
                request: "nf_tables rule dump",
                source: io::Error::other("more than 4 million rules"),
            }),
            // nfnetlink without nf_tables answers EINVAL.
            Err(Error::Netlink { source, .. })
                if matches!(source.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) =>
            {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }
}

/// Entries of the legacy tables in use.
fn legacy(namespace: &NetNamespace) -> Result<u64> {
    let mut entries = 0;
    for (v6, names) in [false, true].into_iter().zip(&namespace.tables) {
        if names.is_empty() {
            continue;
        }
        let fail = |source| Error::Netlink { request: "iptables table info", source };
        let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let open = || -> io::Result<OwnedFd> {
            Ok(socket_with(
                family,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                Some(rustix::net::ipproto::RAW),
            )?)
        };
        let socket =
            inside(namespace.handle.as_fd(), LinkNameSpaceType::Network, open).map_err(fail)?;
        for name in names {
            match sys::table_entries(socket.as_fd(), v6, name) {
                Ok(number) => entries += u64::from(number),
                // Unloaded since its name was read.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(fail(error)),
            }
        }
    }
    Ok(entries)
}
