//! The engine alone, for those who charge by hand.

use ubc_core::{Beancounter, ChargeError, ContainerId};

use crate::pointer;
use crate::reading::ubc_reading;
use crate::resource::{limits, resource, severity, ubc_limit};
use crate::result::{Fault, guarded, ubc_result};

use ubc_result::{UBC_INTERNAL, UBC_INVALID, UBC_OK, UBC_REFUSED};

/// The rows of one container, charged by hand: no kernel, no cgroup, no root.
pub struct ubc_beancounter(Beancounter);

/// A beancounter without limits. id: 1 to 99999999. To be given back with
/// ubc_beancounter_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_beancounter_new(
    id: u32,
    beancounter: *mut *mut ubc_beancounter,
) -> ubc_result {
    guarded(|| {
        let id = ContainerId::new(id).map_err(Fault::invalid)?;
        // SAFETY: as C promises in ubc.h.
        unsafe {
            pointer::give(beancounter, ubc_beancounter(Beancounter::new(id)), "beancounter")?;
        }
        Ok(UBC_OK)
    })
}

/// Sets limits, all or none. One below what is held refuses what comes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_beancounter_set(
    beancounter: *const ubc_beancounter,
    limits: *const ubc_limit,
    count: usize,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let (beancounter, wanted) =
            unsafe { (pointer::read(beancounter, "beancounter")?, self::limits(limits, count)?) };
        let given: Vec<_> =
            wanted.iter().filter_map(|(row, limits)| Some((row, (*limits)?))).collect();
        beancounter.0.set_many(&given).map_err(Fault::invalid)?;
        Ok(UBC_OK)
    })
}

/// Charges an amount before it is granted. severity: one of enum ubc_severity.
/// UBC_REFUSED: it would have passed a threshold; it is counted in failcnt.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_beancounter_charge(
    beancounter: *const ubc_beancounter,
    resource: u32,
    amount: u64,
    severity: u32,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let beancounter = unsafe { pointer::read(beancounter, "beancounter") }?;
        let (resource, severity) = (self::resource(resource)?, self::severity(severity)?);
        beancounter.0.charge_raw(resource, amount, severity).map_err(|error| {
            let code = match error {
                ChargeError::Refused(_) => UBC_REFUSED,
                ChargeError::TooLarge { .. } | ChargeError::Full { .. } => UBC_INVALID,
                ChargeError::Observed { .. } => UBC_INTERNAL,
            };
            Fault::new(code, error)
        })?;
        Ok(UBC_OK)
    })
}

/// Gives an amount back. UBC_INVALID: more than was charged; nothing is charged now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_beancounter_uncharge(
    beancounter: *const ubc_beancounter,
    resource: u32,
    amount: u64,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let beancounter = unsafe { pointer::read(beancounter, "beancounter") }?;
        beancounter.0.uncharge(self::resource(resource)?, amount).map_err(Fault::invalid)?;
        Ok(UBC_OK)
    })
}

/// Reads all rows of one moment. To be given back with ubc_reading_free().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_beancounter_read(
    beancounter: *const ubc_beancounter,
    reading: *mut *mut ubc_reading,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        unsafe {
            pointer::write(reading, std::ptr::null_mut(), "reading")?;
            let now = pointer::read(beancounter, "beancounter")?.0.reading();
            pointer::give(reading, ubc_reading::of_engine(&now), "reading")?;
        }
        Ok(UBC_OK)
    })
}

/// Gives a beancounter back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_beancounter_free(beancounter: *mut ubc_beancounter) {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        drop(unsafe { pointer::take(beancounter, "beancounter") }?);
        Ok(UBC_OK)
    });
}
