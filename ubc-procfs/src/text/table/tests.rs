use ubc_core::{PerResource, Resource};

use super::*;

fn reading(id: u32) -> Reading {
    let rows = PerResource::from_fn(|resource| {
        let n = resource.slot() as u64;
        Row {
            held: n,
            maxheld: n * 10,
            minheld: 7,
            barrier: 1000 + n,
            limit: UNLIMITED,
            failcnt: n / 8,
        }
    });
    Reading { id: ContainerId::new(id).unwrap(), rows }
}

fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_layout_is_the_kernel_s_format_string() {
    let header = format!(
        "{:>10}  {:<12} {:>20} {:>20} {:>20} {:>20} {:>20}\n",
        "uid", "resource", "held", "maxheld", "barrier", "limit", "failcnt"
    );
    assert_eq!(HEADER.as_slice(), header.as_bytes());
    let row = format!(
        "{:>10}  {:<12} {:>20} {:>20} {:>20} {:>20} {:>20}\n",
        "101:",
        "numproc",
        5,
        50,
        1005,
        UNLIMITED,
        u64::MAX
    );
    let id = ContainerId::new(101).unwrap();
    let numbers = Row {
        held: 5,
        maxheld: 50,
        minheld: 1,
        barrier: 1005,
        limit: UNLIMITED,
        failcnt: u64::MAX,
    };
    assert_eq!(super::row(Some(id), "numproc", &numbers).as_slice(), row.as_bytes());
    assert_eq!(ROW_LEN, 130);
}

#[test]
fn a_container_s_file_has_one_size_whatever_the_numbers() {
    let mut most = reading(ContainerId::MAX);
    most.rows = PerResource::from_fn(|_| Row {
        held: u64::MAX,
        maxheld: u64::MAX,
        minheld: u64::MAX,
        barrier: u64::MAX,
        limit: u64::MAX,
        failcnt: u64::MAX,
    });
    let least = Reading { id: ContainerId::HOST, rows: PerResource::default() };
    for reading in [most, least, reading(1)] {
        let all = text(|out| write_user_beancounters([&reading], out));
        assert_eq!(all.len(), USER_BEANCOUNTERS_LEN);
        assert_eq!(all.len(), 3263);
        let own = text(|out| write_container_resources(&reading, out));
        assert_eq!(own.len(), CONTAINER_RESOURCES_LEN);
    }
}

#[test]
fn a_buffer_and_a_vector_get_the_same_bytes() {
    let reading = reading(42);
    let mut file = [0; USER_BEANCOUNTERS_LEN];
    fill_user_beancounters(&reading, &mut file);
    assert_eq!(file.as_slice(), text(|out| write_user_beancounters([&reading], out)).as_bytes());
    let mut file = [0; CONTAINER_RESOURCES_LEN];
    fill_container_resources(&reading, &mut file);
    assert_eq!(file.as_slice(), text(|out| write_container_resources(&reading, out)).as_bytes());
}

#[test]
fn dummies_are_shown_in_one_file_and_swappages_in_the_others() {
    let reading = reading(101);
    let names = |text: &str, skip: usize| -> Vec<String> {
        text.lines().skip(skip).map(|line| line[12..24].trim().to_owned()).collect()
    };
    let shown = names(&text(|out| write_user_beancounters([&reading], out)), 2);
    assert_eq!(shown.len(), 24);
    for (i, name) in shown.iter().enumerate() {
        assert_eq!(name == "dummy", [4, 20, 21, 22].contains(&i), "row {i}: {name}");
    }
    assert!(!shown.contains(&"swappages".to_owned()));

    let all: Vec<&str> = Resource::ALL.iter().map(|resource| resource.name()).collect();
    assert_eq!(names(&text(|out| write_bc_resources([&reading], out)), 2), all);
    assert_eq!(names(&text(|out| write_container_resources(&reading, out)), 0), all);
}

#[test]
fn a_dummy_shows_no_limit_and_no_failure() {
    let all = text(|out| write_user_beancounters([&reading(101)], out));
    let dummy = all.lines().find(|line| line.contains("dummy")).unwrap();
    let fields: Vec<&str> = dummy.split_whitespace().collect();
    assert_eq!(fields, ["dummy", "0", "0", "9223372036854775807", "9223372036854775807", "0"]);
}

#[test]
fn the_id_is_on_the_first_row_of_each_container_only() {
    let (new, host) = (reading(12_345_678), reading(0));
    let all = text(|out| write_user_beancounters([&new, &host], out));
    let ids: Vec<(usize, &str)> = all
        .lines()
        .enumerate()
        .skip(2)
        .filter(|(_, line)| !line.starts_with("            "))
        .map(|(number, line)| (number, &line[..12]))
        .collect();
    assert_eq!(ids, [(2, " 12345678:  "), (26, "        0:  ")]);
    assert_eq!(all.matches("Version").count(), 1, "one version line for all containers");
    assert!(!text(|out| write_container_resources(&new, out)).contains(':'));
}

#[test]
fn a_listing_of_known_length_is_allocated_once() {
    let readings = vec![reading(1); 100];
    let mut out = Vec::new();
    write_user_beancounters(&readings, &mut out);
    assert_eq!(out.len(), File::UserBeancounters.len(100));
    assert_eq!(out.capacity(), out.len());
}
