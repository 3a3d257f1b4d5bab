//! The fields, as vzlist calls them.

use std::fmt;

use ubc_cgroup::Knob;
use ubc_core::{Resource, UNLIMITED};

use super::Entry;

/// A column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    Status,
    Init,
    Cgroup,
    /// Refusals of all rows.
    Failed,
    Row(Resource, Column),
    Knob(Knob),
    /// A parameter of its file: the field, and the parameter.
    File(&'static str, &'static str),
}

/// A number of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Held,
    MaxHeld,
    Barrier,
    Limit,
    Failcnt,
}

impl Column {
    const ALL: [Column; 5] =
        [Column::Held, Column::MaxHeld, Column::Barrier, Column::Limit, Column::Failcnt];

    fn suffix(self) -> &'static str {
        match self {
            Column::Held => "",
            Column::MaxHeld => ".m",
            Column::Barrier => ".b",
            Column::Limit => ".l",
            Column::Failcnt => ".f",
        }
    }
}

/// Other names of the first one.
const IDS: [&str; 2] = ["veid", "vpsid"];

/// What is only in the file, and only told.
const FILE: [(&str, &str); 16] = [
    ("name", "NAME"),
    ("hostname", "HOSTNAME"),
    ("description", "DESCRIPTION"),
    ("ip", "IP_ADDRESS"),
    ("nameserver", "NAMESERVER"),
    ("searchdomain", "SEARCHDOMAIN"),
    ("ostemplate", "OSTEMPLATE"),
    ("origin_sample", "ORIGIN_SAMPLE"),
    ("private", "VE_PRIVATE"),
    ("root", "VE_ROOT"),
    ("onboot", "ONBOOT"),
    ("bootorder", "BOOTORDER"),
    ("disabled", "DISABLED"),
    ("diskspace", "DISKSPACE"),
    ("diskinodes", "DISKINODES"),
    ("vm_overcommit", "VM_OVERCOMMIT"),
];

impl Field {
    /// Every one.
    pub(super) fn all() -> impl Iterator<Item = Field> {
        let own = [Field::Id, Field::Status, Field::Init, Field::Cgroup, Field::Failed];
        let files = FILE.map(|(name, key)| Field::File(name, key));
        let rows = Resource::ALL.into_iter();
        let rows = rows.flat_map(|row| Column::ALL.map(|column| Field::Row(row, column)));
        own.into_iter().chain(files).chain(Knob::ALL.map(Field::Knob)).chain(rows)
    }

    /// The field of this name.
    pub(super) fn parse(name: &str) -> Result<Field, String> {
        if IDS.contains(&name) {
            return Ok(Field::Id);
        }
        Field::all().find(|field| field.to_string() == name).ok_or_else(|| {
            let start = name.split('.').next().unwrap_or_default();
            let nearest = ubc_procfs::text::name::resource_by_name(start).err();
            let nearest = nearest.map(|error| error.nearest).unwrap_or_default();
            let tip = match nearest[..] {
                [] => String::new(),
                _ => format!("; did you mean {}?", nearest.join(" or ")),
            };
            let shown: String = name.chars().take(40).collect();
            format!("no field {shown:?}{tip}; accepted: those `ubc list -L` tells")
        })
    }

    /// The head of its column.
    pub(super) fn head(self) -> String {
        match self {
            Field::Row(row, column) => {
                format!("{}{}", short(row), column.suffix().to_ascii_uppercase())
            }
            Field::File("ip", _) => "IP_ADDR".to_owned(),
            field => field.to_string().to_ascii_uppercase(),
        }
    }

    /// Whether it is set left.
    pub(super) fn is_words(self) -> bool {
        matches!(self, Field::Status | Field::Cgroup | Field::File(..))
    }

    /// What a container has there; `-` for nothing.
    pub(super) fn text(self, entry: &Entry) -> String {
        let running = entry.running.as_ref();
        let text = match self {
            Field::Id => Some(entry.id.to_string()),
            Field::Status => Some(if running.is_some() { "running" } else { "stopped" }.to_owned()),
            Field::Init => running.and_then(|one| one.pid).map(|pid| pid.to_string()),
            Field::Cgroup => running.map(|one| crate::error::one_line(&one.cgroup)),
            Field::Failed => running.map(|one| {
                let failures = one.reading.rows.iter().map(|(_, row)| row.failcnt);
                failures.fold(0, u64::saturating_add).to_string()
            }),
            Field::Row(resource, column) => running.and_then(|one| {
                let row = &one.reading.rows[resource];
                let measured = one.status[resource].measured;
                let number = match column {
                    Column::Held => measured.then_some(row.held),
                    Column::MaxHeld => measured.then_some(row.maxheld),
                    Column::Barrier => Some(row.barrier),
                    Column::Limit => Some(row.limit),
                    Column::Failcnt => Some(row.failcnt),
                };
                number.map(|number| match number {
                    UNLIMITED => "unlimited".to_owned(),
                    number => number.to_string(),
                })
            }),
            Field::Knob(knob) => running
                .and_then(|one| one.schedule.get(knob.name())?.configured.clone())
                .map(|value| crate::schedule::shown(knob, &value)),
            Field::File(_, key) => {
                let value = entry.file.get(key).map(String::from_utf8_lossy);
                value.map(|value| crate::error::one_line(&value))
            }
        };
        text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned())
    }
}

/// The name as `-o` takes it.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Id => f.pad("ctid"),
            Field::Status => f.pad("status"),
            Field::Init => f.pad("init"),
            Field::Cgroup => f.pad("cgroup"),
            Field::Failed => f.pad("failed"),
            Field::Row(row, column) => f.pad(&format!("{row}{}", column.suffix())),
            Field::Knob(knob) => f.pad(knob.name()),
            Field::File(name, _) => f.pad(name),
        }
    }
}

/// What vzlist has above a row.
fn short(row: Resource) -> &'static str {
    match row {
        Resource::KmemSize => "KMEMSIZE",
        Resource::LockedPages => "LOCKEDP",
        Resource::PrivvmPages => "PRIVVMP",
        Resource::ShmPages => "SHMP",
        Resource::NumProc => "NPROC",
        Resource::PhysPages => "PHYSP",
        Resource::VmGuarPages => "VMGUARP",
        Resource::OomGuarPages => "OOMGUARP",
        Resource::NumTcpSock => "NTCPSOCK",
        Resource::NumFlock => "NFLOCK",
        Resource::NumPty => "NPTY",
        Resource::NumSigInfo => "NSIGINFO",
        Resource::TcpSndBuf => "TCPSNDB",
        Resource::TcpRcvBuf => "TCPRCVB",
        Resource::OtherSockBuf => "OTHSOCKB",
        Resource::DgramRcvBuf => "DGRAMRB",
        Resource::NumOtherSock => "NOTHSOCK",
        Resource::DcacheSize => "DCACHESZ",
        Resource::NumFile => "NFILE",
        Resource::NumIptEnt => "NIPTENT",
        Resource::SwapPages => "SWAPP",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name_and_has_a_head_of_its_own() {
        let mut heads: Vec<String> = Vec::new();
        for field in Field::all() {
            assert_eq!(Field::parse(&field.to_string()), Ok(field));
            assert!(!heads.contains(&field.head()), "{field}");
            heads.push(field.head());
        }
        assert_eq!(Field::parse("veid"), Ok(Field::Id));
        assert_eq!(Field::parse("numproc.f").unwrap().head(), "NPROC.F");
        let error = Field::parse("numporc.m").unwrap_err();
        assert!(error.contains("did you mean numproc?"), "{error}");
    }
}
