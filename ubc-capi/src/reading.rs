//! Rows of one moment.

use std::ffi::{CString, c_char};

use ubc_core::{PerResource, Reading, Row};
use ubc_node::{Description, Status};
use ubc_procfs::text::table;

use crate::pointer;
use crate::resource::resource;
use crate::result::{guarded, ubc_result};

use ubc_result::UBC_OK;

/// The rows of a container at one moment.
pub struct ubc_reading {
    reading: Reading,
    who: PerResource<Who>,
    /// As /proc/user_beancounters says it.
    text: CString,
}

/// Who meters and who enforces a row.
#[derive(Default)]
struct Who {
    metered_by: CString,
    enforced_by: CString,
    measured: bool,
    enforced: bool,
}

/// A row, in its unit.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ubc_row {
    /// In use.
    pub held: u64,
    /// The highest use.
    pub maxheld: u64,
    /// Where hard charges stop.
    pub barrier: u64,
    /// Where soft charges stop.
    pub limit: u64,
    /// Refused operations. Never falls.
    pub failcnt: u64,
    /// Who counts it, or why nobody does. Valid as long as the reading.
    pub metered_by: *const c_char,
    /// Who refuses what goes over the limit, or why nobody does. Valid as long as the
    /// reading.
    pub enforced_by: *const c_char,
    /// 1 if held is a number that somebody counted, else 0.
    pub measured: u8,
    /// 1 if somebody refuses what goes over the limit, else 0.
    pub enforced: u8,
}

impl ubc_reading {
    pub(crate) fn of_container(told: &Description) -> ubc_reading {
        let who = PerResource::from_fn(|resource| {
            let Status { metered_by, enforced_by, measured, enforced } = &told.status[resource];
            Who {
                metered_by: c_string(metered_by),
                enforced_by: c_string(enforced_by),
                measured: *measured,
                enforced: *enforced,
            }
        });
        ubc_reading::new(&told.reading, who)
    }

    pub(crate) fn of_engine(reading: &Reading) -> ubc_reading {
        let who = PerResource::from_fn(|_| Who {
            metered_by: c"charges".to_owned(),
            enforced_by: c"charges".to_owned(),
            measured: true,
            enforced: true,
        });
        ubc_reading::new(reading, who)
    }

    fn new(reading: &Reading, who: PerResource<Who>) -> ubc_reading {
        let mut text = Vec::new();
        table::write_user_beancounters([reading], &mut text);
        ubc_reading { reading: *reading, who, text: CString::new(text).unwrap_or_default() }
    }
}

fn c_string(text: &str) -> CString {
    CString::new(text.replace('\0', " ")).unwrap_or_default()
}

/// One row. resource: one of enum ubc_resource.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_reading_row(
    reading: *const ubc_reading,
    resource: u32,
    row: *mut ubc_row,
) -> ubc_result {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        let reading = unsafe { pointer::read(reading, "reading") }?;
        let resource = self::resource(resource)?;
        let Row { held, maxheld, barrier, limit, failcnt, .. } = reading.reading.rows[resource];
        let who = &reading.who[resource];
        let found = ubc_row {
            held,
            maxheld,
            barrier,
            limit,
            failcnt,
            metered_by: who.metered_by.as_ptr(),
            enforced_by: who.enforced_by.as_ptr(),
            measured: u8::from(who.measured),
            enforced: u8::from(who.enforced),
        };
        // SAFETY: as C promises in ubc.h.
        unsafe { pointer::write(row, found, "row") }?;
        Ok(UBC_OK)
    })
}

/// All rows, as /proc/user_beancounters says them; NULL for NULL. Valid as long as the
/// reading.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_reading_text(reading: *const ubc_reading) -> *const c_char {
    let mut text = std::ptr::null();
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        text = unsafe { pointer::read(reading, "reading") }?.text.as_ptr();
        Ok(UBC_OK)
    });
    text
}

/// Gives a reading back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ubc_reading_free(reading: *mut ubc_reading) {
    guarded(|| {
        // SAFETY: as C promises in ubc.h.
        drop(unsafe { pointer::take(reading, "reading") }?);
        Ok(UBC_OK)
    });
}
