//! Samples of the resource tables as kernels and tools wrote them.

use ubc_core::{ContainerId, Resource, Row, UNLIMITED};
use ubc_procfs::text::layout::File;
use ubc_procfs::text::parse::{Block, Bounds, Table, is_unlimited, strict, tolerant};

macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("fixtures/", $name, ".txt")).as_slice()
    };
}

fn read(text: &[u8]) -> Table {
    tolerant(text, Bounds::DEFAULT).expect("every sample is readable")
}

fn row(numbers: [u64; 5]) -> Row {
    let [held, maxheld, barrier, limit, failcnt] = numbers;
    Row { held, maxheld, minheld: 0, barrier, limit, failcnt }
}

/// What is the same in every sample of container 101.
fn assert_is_101(block: &Block, unlimited: u64) {
    assert_eq!(block.uid.as_deref(), Some("101"));
    assert_eq!(block.id, ContainerId::new(101).ok());
    for (resource, numbers) in [
        (Resource::KmemSize, [9_876_543, 11_238_912, 14_372_700, 14_790_164, 0]),
        (Resource::PrivvmPages, [230_416, 1_045_032, 900_000, 1_000_000, 363_565]),
        (Resource::PhysPages, [68_941, 70_213, 0, unlimited, 0]),
        (Resource::OomGuarPages, [68_941, 70_213, 26_112, unlimited, 2]),
        (Resource::TcpSndBuf, [540_360, 1_851_328, 1_720_320, 2_703_360, 12]),
        (Resource::NumIptEnt, [421, 421, 400, 500, 0]),
    ] {
        assert_eq!(block.rows[resource], Some(row(numbers)), "{resource}");
    }
    assert_eq!(block.others, []);
}

fn assert_is_host_listing(table: &Table, unlimited: u64) {
    assert_eq!(table.blocks.len(), 2);
    assert!(!table.truncated);
    let [container, host] = table.blocks.as_slice() else { panic!("two containers") };
    assert_is_101(container, unlimited);
    assert_eq!(container.dummies, [row([0; 5]); 4]);
    assert_eq!(container.rows[Resource::SwapPages], None);
    assert_eq!(host.id, Some(ContainerId::HOST));
    assert_eq!(host.rows[Resource::NumProc], Some(row([92, 131, unlimited, unlimited, 0])));
    assert_eq!(host.dummies, [row([0, 0, unlimited, unlimited, 0]); 4]);
    assert_eq!(table.block(ContainerId::HOST), Some(host));
}

#[test]
fn the_colon_may_stand_inside_or_behind_the_id_column() {
    for text in [fixture!("host-colon-inside"), fixture!("host-colon-behind")] {
        let table = read(text);
        assert_is_host_listing(&table, UNLIMITED);
        assert_eq!(strict(text, File::UserBeancounters, Bounds::DEFAULT), Ok(table));
    }
}

#[test]
fn the_colon_may_not_wander_within_a_file() {
    let inside = std::str::from_utf8(fixture!("host-colon-inside")).unwrap();
    let mixed = inside.replace("        0:  kmemsize", "         0: kmemsize");
    let error = strict(mixed.as_bytes(), File::UserBeancounters, Bounds::DEFAULT).unwrap_err();
    assert_eq!(error.line, 27, "{error}");
    assert_is_host_listing(&read(mixed.as_bytes()), UNLIMITED);
}

#[test]
fn a_32_bit_kernel_s_unlimited_is_kept_as_it_is_and_recognised() {
    let table = read(fixture!("host-32bit"));
    assert_is_host_listing(&table, 2_147_483_647);
    assert!(is_unlimited(table.blocks[0].rows[Resource::PhysPages].unwrap().limit));
    let error = strict(fixture!("host-32bit"), File::UserBeancounters, Bounds::DEFAULT);
    assert_eq!(error.unwrap_err().line, 2, "its columns are not those of 64 bits");
}

#[test]
fn proc_bc_has_swappages_and_no_dummies() {
    for (text, file) in [
        (fixture!("bc-resources"), File::BcResources),
        (fixture!("bc-container"), File::ContainerResources),
    ] {
        let table = read(text);
        assert_eq!(strict(text, file, Bounds::DEFAULT).as_ref(), Ok(&table));
        let block = &table.blocks[0];
        assert_eq!(block.rows[Resource::SwapPages], Some(row([0, 0, 0, UNLIMITED, 0])));
        assert_eq!(block.dummies, []);
        match file {
            File::ContainerResources => assert_eq!((&block.uid, block.id), (&None, None)),
            _ => assert_is_101(block, UNLIMITED),
        }
    }
}

#[test]
fn one_file_is_not_taken_for_another() {
    use File::{BcResources, ContainerResources, UserBeancounters};
    for (text, file) in [
        (fixture!("bc-resources"), UserBeancounters),
        (fixture!("bc-resources"), ContainerResources),
        (fixture!("bc-container"), UserBeancounters),
        (fixture!("bc-container"), BcResources),
        (fixture!("host-colon-inside"), BcResources),
        (fixture!("host-colon-inside"), ContainerResources),
    ] {
        assert!(strict(text, file, Bounds::DEFAULT).is_err(), "{file:?}");
    }
}

#[test]
fn a_uuid_is_kept_as_text_and_its_first_row_is_not_lost() {
    let table = read(fixture!("vz8-uuid"));
    let [container, host] = table.blocks.as_slice() else { panic!("two containers") };
    assert_eq!(container.uid.as_deref(), Some("2f3ad1c4-5b8e-4a55-9d3e-1f6ab2c3d4e5"));
    assert_eq!(container.id, None);
    let kmemsize = row([52_428_800, 67_108_864, UNLIMITED, UNLIMITED, 0]);
    assert_eq!(container.rows[Resource::KmemSize], Some(kmemsize));
    let physpages = row([20_480, 65_536, 65_536, 65_536, 17]);
    assert_eq!(container.rows[Resource::PhysPages], Some(physpages));
    assert_eq!(container.dummies.len(), 4);
    assert_eq!(host.id, Some(ContainerId::HOST));
}

#[test]
fn a_pasted_file_without_columns_is_read_by_words() {
    let table = read(fixture!("pasted"));
    let [container, sub] = table.blocks.as_slice() else { panic!("two containers") };
    assert_is_101(container, UNLIMITED);
    assert_eq!((sub.uid.as_deref(), sub.id), (Some("101.7"), None));
    assert_eq!(sub.rows[Resource::NumFile], Some(row([1, 2, UNLIMITED, UNLIMITED, 0])));
}

#[test]
fn a_number_that_was_cut_is_not_believed() {
    let table = read(fixture!("cut-off"));
    assert!(table.truncated);
    let block = &table.blocks[0];
    assert_eq!(block.id, ContainerId::new(101).ok());
    let dcachesize = row([0, 0, 3_409_920, 3_624_960, 0]);
    assert_eq!(block.rows[Resource::DcacheSize], Some(dcachesize), "the row before is whole");
    assert_eq!(block.rows[Resource::NumFile], None, "its barrier lacks digits");
}

#[test]
fn unknown_rows_are_kept_apart() {
    let table = read(fixture!("unknown-rows"));
    let block = &table.blocks[0];
    let names: Vec<&str> = block.others.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["numnetif", "shadowpages"]);
    assert_eq!(block.others[0].1, row([1, 2, 4, 4, 0]));
    assert_eq!(block.rows[Resource::NumProc], Some(row([57, 113, 240, 240, 0])));
    assert_eq!(block.rows[Resource::NumFile], None);
}
