//! Readings as JSON.

use ubc_core::Reading;
use ubc_procfs::text::layout::{File, USER_BEANCOUNTERS_LEN};
use ubc_procfs::text::parse::{Bounds, strict};
use ubc_procfs::text::table::{fill_user_beancounters, write_user_beancounters};

/// A reading that came as JSON is written as JSON and as a table and is the
/// same again.
///
/// # Panics
///
/// If that does not hold.
pub fn reading_json(data: &[u8]) {
    let Ok(reading) = serde_json::from_slice::<Reading>(data) else { return };
    let Ok(text) = serde_json::to_vec(&reading) else {
        panic!("a reading that was read cannot be written");
    };
    assert_eq!(serde_json::from_slice::<Reading>(&text).ok(), Some(reading));

    let mut file = [0; USER_BEANCOUNTERS_LEN];
    fill_user_beancounters(&reading, &mut file);
    let mut again = Vec::new();
    write_user_beancounters([&reading], &mut again);
    assert_eq!(file.as_slice(), again);
    let table = strict(&file, File::UserBeancounters, Bounds::DEFAULT).unwrap_or_default();
    let Some(block) = table.block(reading.id) else { panic!("its own table is not accepted") };
    for (resource, row) in reading.rows.iter() {
        let shown = File::UserBeancounters.rows().contains(&Some(resource));
        let expected = shown.then_some(ubc_core::Row { minheld: 0, ..*row });
        assert_eq!(block.rows[resource], expected, "{resource}");
    }
}
