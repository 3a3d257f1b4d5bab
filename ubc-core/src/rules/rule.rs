//! The rules: their numbers and why they exist.

/// A rule that limits which fit together obey.
///
/// The levels are vzcfgvalidate's; the reasons are those of OpenVZ's page
/// "UBC consistency check".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Rule {
    /// Error: numproc, numtcpsock, numothersock, shmpages, numfile, numpty,
    /// numsiginfo and numiptent have barrier = limit.
    BarrierIsLimit = 1,
    /// Error: kmemsize, the four buffers, privvmpages, lockedpages, numflock
    /// and dcachesize have barrier <= limit.
    BarrierWithinLimit = 2,
    /// Error: the limits of vmguarpages and oomguarpages are unlimited, and
    /// physpages is 0:unlimited.
    OnlyPromises = 3,
    /// Warning: dcachesize limit >= 384 bytes x numfile.
    NamesOfOpenFiles = 4,
    /// Error: kmemsize barrier >= 40 KiB x avnumproc + dcachesize limit.
    KernelMemoryOfProcesses = 5,
    /// Warning: privvmpages barrier >= vmguarpages barrier.
    GuaranteeWithinReach = 6,
    /// Error: tcpsndbuf limit - barrier >= 2.5 KiB x numtcpsock.
    TcpSendGap = 7,
    /// Error: othersockbuf limit - barrier >= 2.5 KiB x numothersock.
    OtherSendGap = 8,
    /// Warning: tcprcvbuf limit - barrier >= 2.5 KiB x numtcpsock.
    TcpReceiveGap = 9,
    /// Warning: the barriers of tcprcvbuf and tcpsndbuf are at least 64 KiB.
    TcpWindow = 10,
    /// Warning: the barriers of dgramrcvbuf and othersockbuf are at least
    /// 32 KiB. Recommendation: at least 129 KiB.
    DatagramSize = 11,
    /// Warning: numfile >= 32 x avnumproc, and at least numtcpsock +
    /// numothersock + numpty.
    FilesOfProcesses = 12,
    /// Error, VSwap only: the barriers of physpages and swappages are 0.
    VswapBarrier = 13,
    /// Warning, VSwap only: physpages fits the host's RAM, swappages its
    /// swap.
    VswapWithinHost = 14,
    /// Warning: privvmpages limit <= 60 % of the host's RAM. (OpenVZ's page
    /// "UBC systemwide configuration"; vzsplit uses the same figure.)
    OneContainerOfMany = 15,
}

impl Rule {
    /// Every rule, by number.
    pub const ALL: [Rule; 15] = [
        Rule::BarrierIsLimit,
        Rule::BarrierWithinLimit,
        Rule::OnlyPromises,
        Rule::NamesOfOpenFiles,
        Rule::KernelMemoryOfProcesses,
        Rule::GuaranteeWithinReach,
        Rule::TcpSendGap,
        Rule::OtherSendGap,
        Rule::TcpReceiveGap,
        Rule::TcpWindow,
        Rule::DatagramSize,
        Rule::FilesOfProcesses,
        Rule::VswapBarrier,
        Rule::VswapWithinHost,
        Rule::OneContainerOfMany,
    ];

    /// Its number, 1 to 15.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// What happens when it is broken, or why it is there.
    pub const fn reason(self) -> &'static str {
        match self {
            Rule::BarrierIsLimit => "nothing is charged between the two, so a gap has no effect",
            Rule::BarrierWithinLimit => {
                "the lower of the two refuses, so a barrier above the limit has no effect"
            }
            Rule::OnlyPromises => "these limits were never applied; only the barriers are promises",
            Rule::NamesOfOpenFiles => "files cannot be opened for lack of cache for their names",
            Rule::KernelMemoryOfProcesses => "processes fail in the middle of operations",
            Rule::GuaranteeWithinReach => {
                "memory is refused although it is guaranteed: the guarantee does not work"
            }
            Rule::TcpSendGap | Rule::OtherSendGap => {
                "a socket may not get room for one packet, and data transmission hangs"
            }
            Rule::TcpReceiveGap | Rule::TcpWindow => "connections work, but slowly",
            Rule::DatagramSize => "large datagrams do not fit, and performance is poor",
            Rule::FilesOfProcesses => {
                "processes and sockets are refused for lack of files, not by their own limits"
            }
            Rule::VswapBarrier => "with VSwap only the limit counts",
            Rule::VswapWithinHost => "the host cannot give what it does not have",
            Rule::OneContainerOfMany => {
                "one container alone can take most of the memory from all others"
            }
        }
    }
}
