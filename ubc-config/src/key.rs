//! The parameters: which mean something here, and which vzctl has besides.

use std::fmt;

use ubc_cgroup::Knob;
use ubc_core::Resource;

/// A parameter that means something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `NUMPROC` and its like: `barrier[:limit]` of a row.
    Row(Resource),
    /// `AVNUMPROC`: how many processes are expected on average.
    AvNumProc,
    /// `VM_OVERCOMMIT`: privvmpages as a multiple of RAM and swap.
    VmOvercommit,
    /// `MEMINFO`: the size a container's /proc/meminfo shows.
    MemInfo,
    /// `CPUUNITS` and its like.
    Knob(Knob),
}

/// Older names of rows (vzctl `src/lib/config.c`).
const ALIASES: [(&str, Resource); 2] =
    [("DCACHE", Resource::DcacheSize), ("IPTENTRIES", Resource::NumIptEnt)];

impl Key {
    /// Every one, in the order in which a new file has them.
    pub fn all() -> impl Iterator<Item = Key> {
        let rows = Resource::ALL.into_iter().map(Key::Row);
        let others = [Key::AvNumProc, Key::VmOvercommit, Key::MemInfo];
        rows.chain(others).chain(Knob::ALL.into_iter().map(Key::Knob))
    }

    /// The parameter of this name: capitals, as vzctl wants them.
    pub fn from_name(name: &str) -> Option<Key> {
        Key::all().find(|key| key.to_string() == name).or_else(|| {
            ALIASES.iter().find(|(alias, _)| *alias == name).map(|(_, row)| Key::Row(*row))
        })
    }

    /// The parameter somebody meant who did not keep to capitals.
    pub(crate) fn in_any_case(name: &str) -> Option<Key> {
        Key::from_name(&name.to_ascii_uppercase())
    }
}

/// The name, as a file has it.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Row(resource) => f.pad(&resource.name().to_ascii_uppercase()),
            Key::AvNumProc => f.pad("AVNUMPROC"),
            Key::VmOvercommit => f.pad("VM_OVERCOMMIT"),
            Key::MemInfo => f.pad("MEMINFO"),
            Key::Knob(knob) => f.pad(&knob.name().to_ascii_uppercase()),
        }
    }
}

/// Names that are no slip of the fingers: parameters of vzctl, classic and
/// later, that have no meaning here.
const FOREIGN: [&str; 72] = [
    "APPCONFIG_MAP",
    "BOOTORDER",
    "BRIDGE",
    "CAPABILITY",
    "CONFIGFILE",
    "CPUWEIGHT",
    "DEF_OSTEMPLATE",
    "DESCRIPTION",
    "DEVICES",
    "DEVNODES",
    "DISABLED",
    "DISKINODES",
    "DISKSPACE",
    "DISK_QUOTA",
    "DISTRIBUTION",
    "DUMPDIR",
    "ERROR_ON_ARPFAIL",
    "FEATURES",
    "HA_ENABLE",
    "HA_PRIO",
    "HOSTNAME",
    "IP6TABLES",
    "IPTABLES",
    "IPTABLES_MODULES",
    "IPV6",
    "IP_ADDRESS",
    "JOURNALED_QUOTA",
    "LOCAL_GID",
    "LOCAL_UID",
    "LOCKDIR",
    "LOGFILE",
    "LOGGING",
    "LOG_LEVEL",
    "MEMGUARANTEE",
    "MEMGUARANTEE_BYTES",
    "MODULES_DISABLED",
    "MOUNT_OPTS",
    "NAME",
    "NAMESERVER",
    "NEIGHBOUR_DEVS",
    "NETDEV",
    "NETFILTER",
    "NETIF",
    "NETIF_MAC_RENEW",
    "NUMMEMORYSUBGROUPS",
    "NUMNETIF",
    "ONBOOT",
    "ORIGIN_SAMPLE",
    "OSRELEASE",
    "OSTEMPLATE",
    "PAGECACHE_ISOLATION",
    "PCI",
    "PLATFORM",
    "QUOTATIME",
    "QUOTAUGIDLIMIT",
    "SEARCHDOMAIN",
    "SKIP_ARPDETECT",
    "SKIP_SYSCTL_SETUP",
    "SLMMEMORYLIMIT",
    "SLMMODE",
    "STOP_TIMEOUT",
    "TECHNOLOGIES",
    "TEMPLATE",
    "UUID",
    "VE0CPUUNITS",
    "VEID",
    "VERBOSE",
    "VERSION",
    "VE_LAYOUT",
    "VE_PRIVATE",
    "VE_ROOT",
    "VIRTUOZZO",
];

/// What an unknown name may have been meant for.
pub(crate) fn meant(name: &str) -> Vec<&'static str> {
    if FOREIGN.contains(&name) {
        return Vec::new();
    }
    let error = ubc_procfs::text::name::resource_by_config_name(name).err();
    let mut nearest = error.map(|error| error.nearest).unwrap_or_default();
    // One row's name in another's is close, but not a slip.
    nearest.retain(|near| name.len().abs_diff(near.len()) <= 2);
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_by_the_name_it_is_written_with() {
        for key in Key::all() {
            assert_eq!(Key::from_name(&key.to_string()), Some(key));
            assert!(!FOREIGN.contains(&key.to_string().as_str()), "{key}");
        }
        assert_eq!(Key::from_name("DCACHE"), Some(Key::Row(Resource::DcacheSize)));
        assert_eq!(Key::from_name("IPTENTRIES"), Some(Key::Row(Resource::NumIptEnt)));
        assert_eq!(Key::from_name("numproc"), None);
        assert_eq!(Key::in_any_case("numproc"), Some(Key::Row(Resource::NumProc)));
    }

    #[test]
    fn a_slip_of_the_fingers_is_told_from_a_parameter_of_others() {
        assert_eq!(meant("NUMPORC"), ["numproc"]);
        assert_eq!(meant("PHYSPAGE"), ["physpages"]);
        for name in FOREIGN.iter().chain(&["MY_OWN_NOTE", "X"]) {
            assert_eq!(meant(name), Vec::<&str>::new(), "{name}");
        }
    }
}
