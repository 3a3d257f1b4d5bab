//! The resource tables.

use ubc_core::{PerResource, Reading, Row, UNLIMITED};
use ubc_procfs::text::layout::File;
use ubc_procfs::text::parse::{Block, Bounds, Table, strict, tolerant};
use ubc_procfs::text::table::{
    write_bc_resources, write_container_resources, write_user_beancounters,
};

use super::assert_one_line;

/// What the strict parser accepts, the tolerant one reads the same; and it is
/// what the writer writes, if the writer could have.
///
/// # Panics
///
/// If that does not hold.
pub fn table_strict(data: &[u8]) {
    for file in [File::UserBeancounters, File::BcResources, File::ContainerResources] {
        let table = match strict(data, file, Bounds::DEFAULT) {
            Ok(table) => table,
            Err(error) => {
                assert_one_line(&error.to_string());
                continue;
            }
        };
        assert_eq!(data.len(), file.len(table.blocks.len()));
        assert_eq!(tolerant(data, Bounds::DEFAULT).as_ref(), Ok(&table));
        if let Some(text) = rewritten(&table, file) {
            let colons_inside = text.len() == data.len()
                && text.iter().zip(data).all(|(a, b)| (*a == b':') == (*b == b':'));
            assert!(text == data || !colons_inside, "it is written differently");
        }
    }
}

/// The table as our writer would write it; `None` for what it never writes:
/// other ids, other dummies.
fn rewritten(table: &Table, file: File) -> Option<Vec<u8>> {
    const DUMMY: Row =
        Row { held: 0, maxheld: 0, minheld: 0, barrier: UNLIMITED, limit: UNLIMITED, failcnt: 0 };
    let readings: Option<Vec<Reading>> = table
        .blocks
        .iter()
        .map(|block| {
            let id = if file.has_header() { block.id? } else { ubc_core::ContainerId::HOST };
            block.dummies.iter().all(|dummy| *dummy == DUMMY).then(|| reading(id, block))
        })
        .collect();
    let mut text = Vec::new();
    match (file, readings?.as_slice()) {
        (File::UserBeancounters, readings) => write_user_beancounters(readings, &mut text),
        (File::BcResources, readings) => write_bc_resources(readings, &mut text),
        (File::ContainerResources, [one]) => write_container_resources(one, &mut text),
        (File::ContainerResources, _) => return None,
    }
    Some(text)
}

fn reading(id: ubc_core::ContainerId, block: &Block) -> Reading {
    Reading { id, rows: PerResource::from_fn(|resource| block.rows[resource].unwrap_or_default()) }
}

/// The tolerant parser keeps its bounds, does not care about the kind of line
/// ends, and what it read of a container is read again from what we write.
///
/// # Panics
///
/// If that does not hold.
pub fn table_tolerant(data: &[u8]) {
    let bounds = Bounds { line: 400, blocks: 8, others: 8 };
    let table = match tolerant(data, bounds) {
        Ok(table) => table,
        Err(error) => {
            assert_one_line(&error.to_string());
            return;
        }
    };
    assert!(table.blocks.len() <= bounds.blocks);
    assert!(table.blocks.iter().map(|block| block.others.len()).sum::<usize>() <= bounds.others);
    assert!(!table.truncated || data.last() != Some(&b'\n'));

    if data.ends_with(b"\n") {
        let lines: Vec<&[u8]> = data.split(|&byte| byte == b'\n').collect();
        let crlf = lines.join(b"\r\n".as_slice());
        let wider = Bounds { line: bounds.line + 1, ..bounds };
        assert_eq!(tolerant(&crlf, wider).as_ref(), Ok(&table));
    }

    for block in &table.blocks {
        assert!(block.dummies.len() <= 4);
        let Some(id) = block.id else { continue };
        let reading = reading(id, block);
        let mut text = Vec::new();
        write_bc_resources([&reading], &mut text);
        let again = strict(&text, File::BcResources, Bounds::DEFAULT).unwrap_or_default();
        let Some(block) = again.block(id) else { panic!("our own table is not accepted") };
        assert_eq!(block.rows, PerResource::from_fn(|resource| Some(reading.rows[resource])));
    }
}
