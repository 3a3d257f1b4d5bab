//! Rules of the packet filter, which match everything and do nothing.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_netfilter::nftables::{
    ChainAttribute, ChainMessage, NfTablesMessage, RuleAttribute, RuleMessage, TableAttribute,
    TableFlags, TableMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{
    NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily,
};
use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

use crate::attempts::{Take, take};

/// For which part of netfilter a batch is (`NFNL_SUBSYS_NFTABLES`).
const NFTABLES: u16 = 10;

const CHAIN: &str = "chain";

/// One rule more. The table is its maker's and ends with it.
pub(crate) fn rules() -> io::Result<Take> {
    let mut filter = Filter::new()?;
    let table = format!("bomb{}", std::process::id());
    filter.change([
        NfTablesMessage::NewTable(TableMessage {
            attributes: vec![
                TableAttribute::Name(table.clone()),
                TableAttribute::Flags(TableFlags::Owner),
            ],
        }),
        NfTablesMessage::NewChain(ChainMessage {
            attributes: vec![
                ChainAttribute::Table(table.clone()),
                ChainAttribute::Name(CHAIN.to_owned()),
            ],
        }),
    ])?;
    Ok(take(move |_| {
        filter.change([NfTablesMessage::NewRule(RuleMessage {
            attributes: vec![
                RuleAttribute::Table(table.clone()),
                RuleAttribute::Chain(CHAIN.to_owned()),
            ],
        })])
    }))
}

struct Filter {
    socket: Socket,
}

impl Filter {
    fn new() -> io::Result<Filter> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        // All answers are there when the kernel has taken what was sent.
        socket.set_non_blocking(true)?;
        Ok(Filter { socket })
    }

    /// All of these or none.
    fn change(&mut self, messages: impl IntoIterator<Item = NfTablesMessage>) -> io::Result<()> {
        let mut batch = framed(ControlMessage::BatchBegin, 0);
        let flags = NLM_F_CREATE | NLM_F_APPEND | NLM_F_ACK;
        batch.extend(messages.into_iter().flat_map(|message| framed(message, flags)));
        batch.extend(framed(ControlMessage::BatchEnd, 0));
        self.socket.send_to(&batch, &SocketAddr::new(0, 0), 0)?;
        let (mut refused, mut answers) = (None, 0);
        loop {
            let mut said = Vec::with_capacity(4096);
            match self.socket.recv(&mut said, 0) {
                Ok(_) => answers += 1,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            let answer = NetlinkMessage::<NetfilterMessage>::deserialize(&said);
            if let NetlinkPayload::Error(error) = answer.map_err(io::Error::other)?.payload
                && error.code.is_some()
            {
                refused.get_or_insert_with(|| error.to_io());
            }
        }
        match refused {
            Some(error) => Err(error),
            None if answers == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            None => Ok(()),
        }
    }
}

fn framed(message: impl Into<NetfilterMessageInner>, flags: u16) -> Vec<u8> {
    let message = message.into();
    // Of a batch's marks this says whose it is.
    let part = if matches!(message, NetfilterMessageInner::None(_)) { NFTABLES } else { 0 };
    let header = NetfilterHeader::new(NetfilterProtoFamily::Inet, 0, part);
    let mut message = NetlinkMessage::from(NetfilterMessage::new(header, message));
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len().next_multiple_of(4)];
    message.serialize(&mut bytes);
    bytes
}
