//! Rows, severities, limits and knobs by the numbers and names of C.

use std::ffi::c_char;

use ubc_cgroup::{Knob, Schedule};
use ubc_core::{Limits, Resource, Severity};
use ubc_node::Wanted;

use crate::pointer;
use crate::result::{Fault, Outcome, guarded, ubc_result};

/// The rows, by OpenVZ's numbers. Amounts are in the row's unit: bytes (*size, *buf),
/// pages (*pages) or a count (num*).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ubc_resource {
    UBC_KMEMSIZE = 0,
    UBC_LOCKEDPAGES = 1,
    UBC_PRIVVMPAGES = 2,
    UBC_SHMPAGES = 3,
    UBC_NUMPROC = 5,
    UBC_PHYSPAGES = 6,
    UBC_VMGUARPAGES = 7,
    UBC_OOMGUARPAGES = 8,
    UBC_NUMTCPSOCK = 9,
    UBC_NUMFLOCK = 10,
    UBC_NUMPTY = 11,
    UBC_NUMSIGINFO = 12,
    UBC_TCPSNDBUF = 13,
    UBC_TCPRCVBUF = 14,
    UBC_OTHERSOCKBUF = 15,
    UBC_DGRAMRCVBUF = 16,
    UBC_NUMOTHERSOCK = 17,
    UBC_DCACHESIZE = 18,
    UBC_NUMFILE = 19,
    UBC_NUMIPTENT = 23,
    UBC_SWAPPAGES = 24,
}

/// How hard a charge insists.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ubc_severity {
    /// Refused above the barrier, and above the limit.
    UBC_HARD = 0,
    /// Refused above the limit.
    UBC_SOFT = 1,
    /// Never refused.
    UBC_FORCE = 2,
}

/// No limit.
pub const UBC_UNLIMITED: u64 = 0x7fff_ffff_ffff_ffff;

// What the header says is what the engine means.
const _: () = {
    let rows = [
        ubc_resource::UBC_KMEMSIZE as u32 == Resource::KmemSize as u32,
        ubc_resource::UBC_LOCKEDPAGES as u32 == Resource::LockedPages as u32,
        ubc_resource::UBC_PRIVVMPAGES as u32 == Resource::PrivvmPages as u32,
        ubc_resource::UBC_SHMPAGES as u32 == Resource::ShmPages as u32,
        ubc_resource::UBC_NUMPROC as u32 == Resource::NumProc as u32,
        ubc_resource::UBC_PHYSPAGES as u32 == Resource::PhysPages as u32,
        ubc_resource::UBC_VMGUARPAGES as u32 == Resource::VmGuarPages as u32,
        ubc_resource::UBC_OOMGUARPAGES as u32 == Resource::OomGuarPages as u32,
        ubc_resource::UBC_NUMTCPSOCK as u32 == Resource::NumTcpSock as u32,
        ubc_resource::UBC_NUMFLOCK as u32 == Resource::NumFlock as u32,
        ubc_resource::UBC_NUMPTY as u32 == Resource::NumPty as u32,
        ubc_resource::UBC_NUMSIGINFO as u32 == Resource::NumSigInfo as u32,
        ubc_resource::UBC_TCPSNDBUF as u32 == Resource::TcpSndBuf as u32,
        ubc_resource::UBC_TCPRCVBUF as u32 == Resource::TcpRcvBuf as u32,
        ubc_resource::UBC_OTHERSOCKBUF as u32 == Resource::OtherSockBuf as u32,
        ubc_resource::UBC_DGRAMRCVBUF as u32 == Resource::DgramRcvBuf as u32,
        ubc_resource::UBC_NUMOTHERSOCK as u32 == Resource::NumOtherSock as u32,
        ubc_resource::UBC_DCACHESIZE as u32 == Resource::DcacheSize as u32,
        ubc_resource::UBC_NUMFILE as u32 == Resource::NumFile as u32,
        ubc_resource::UBC_NUMIPTENT as u32 == Resource::NumIptEnt as u32,
        ubc_resource::UBC_SWAPPAGES as u32 == Resource::SwapPages as u32,
    ];
    assert!(rows.len() == Resource::COUNT && UBC_UNLIMITED == ubc_core::UNLIMITED);
    let mut row = 0;
    while row < rows.len() {
        assert!(rows[row]);
        row += 1;
    }
};

/// The limit of a row.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ubc_limit {
    /// One of enum ubc_resource.
    pub resource: u32,
    /// 0 to UBC_UNLIMITED.
    pub barrier: u64,
    /// 0 to UBC_UNLIMITED.
    pub limit: u64,
}

/// A scheduler's parameter, by name and value of `vzctl set`: "cpuunits", "1000".
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ubc_knob {
    pub name: *const c_char,
    pub value: *const c_char,
}

pub(crate) fn resource(number: u32) -> Result<Resource, Fault> {
    let known = Resource::ALL.into_iter().find(|resource| *resource as u32 == number);
    known.ok_or_else(|| Fault::invalid(format!("no row has the number {number}")))
}

pub(crate) fn severity(number: u32) -> Result<Severity, Fault> {
    let known = [
        (ubc_severity::UBC_HARD, Severity::Hard),
        (ubc_severity::UBC_SOFT, Severity::Soft),
        (ubc_severity::UBC_FORCE, Severity::Force),
    ];
    let known = known.into_iter().find(|(theirs, _)| *theirs as u32 == number);
    known
        .map(|(_, ours)| ours)
        .ok_or_else(|| Fault::invalid(format!("no severity has the number {number}")))
}

/// Safety: as in [`pointer`].
pub(crate) unsafe fn limits(limits: *const ubc_limit, count: usize) -> Result<Wanted, Fault> {
    let mut wanted = Wanted::default();
    // SAFETY: as the caller's.
    for one in unsafe { pointer::array(limits, count, "limits") }? {
        let resource = resource(one.resource)?;
        let wrong = |error| Fault::invalid(format!("{resource}: {error}"));
        wanted[resource] = Some(Limits::new(one.barrier, one.limit).map_err(wrong)?);
    }
    Ok(wanted)
}

/// Safety: as in [`pointer`].
pub(crate) unsafe fn schedule(knobs: *const ubc_knob, count: usize) -> Result<Schedule, Fault> {
    let mut schedule = Schedule::default();
    // SAFETY: as the caller's.
    for one in unsafe { pointer::array(knobs, count, "knobs") }? {
        // SAFETY: as the caller's.
        let (name, value) =
            unsafe { (pointer::needed(one.name, "name")?, pointer::needed(one.value, "value")?) };
        let knob = Knob::from_name(name).ok_or_else(|| {
            let names = Knob::ALL.map(Knob::name).join(", ");
            Fault::invalid(format!("{name}: no such knob; accepted: {names}"))
        })?;
        schedule.set(knob, value).map_err(|error| Fault::invalid(format!("{knob}: {error}")))?;
    }
    Ok(schedule)
}

/// The number of the row with this name: "numfile".
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_resource_by_name(
    name: *const c_char,
    resource: *mut u32,
) -> ubc_result {
    guarded(|| -> Outcome {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            let name = pointer::needed(name, "name")?;
            let found = Resource::from_name(name)
                .ok_or_else(|| Fault::invalid(format!("no row is called {name}")))?;
            pointer::write(resource, found as u32, "resource")?;
        }
        Ok(ubc_result::UBC_OK)
    })
}

/// The name of a row; NULL if none has this number. Valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn ubc_resource_name(resource: u32) -> *const c_char {
    const NAMES: [&std::ffi::CStr; Resource::COUNT] = [
        c"kmemsize",
        c"lockedpages",
        c"privvmpages",
        c"shmpages",
        c"numproc",
        c"physpages",
        c"vmguarpages",
        c"oomguarpages",
        c"numtcpsock",
        c"numflock",
        c"numpty",
        c"numsiginfo",
        c"tcpsndbuf",
        c"tcprcvbuf",
        c"othersockbuf",
        c"dgramrcvbuf",
        c"numothersock",
        c"dcachesize",
        c"numfile",
        c"numiptent",
        c"swappages",
    ];
    let known = self::resource(resource).ok();
    known.map_or(std::ptr::null(), |resource| NAMES[resource.index()].as_ptr())
}
