use proptest::prelude::*;
use ubc_core::{Reading, Resource};

use super::*;
use crate::text::layout::File;
use crate::text::table::{write_bc_resources, write_container_resources, write_user_beancounters};

const FILES: [File; 3] = [File::UserBeancounters, File::BcResources, File::ContainerResources];

fn written(file: File, readings: &[Reading]) -> Vec<u8> {
    let mut out = Vec::new();
    match (file, readings) {
        (File::UserBeancounters, _) => write_user_beancounters(readings, &mut out),
        (File::BcResources, _) => write_bc_resources(readings, &mut out),
        (File::ContainerResources, [first, ..]) => write_container_resources(first, &mut out),
        (File::ContainerResources, []) => {}
    }
    out
}

fn sample(id: u32) -> Reading {
    let rows = PerResource::from_fn(|resource| {
        let n = resource.slot() as u64 + 1;
        Row {
            held: n,
            maxheld: n * 11,
            minheld: 0,
            barrier: n * 1001,
            limit: UNLIMITED,
            failcnt: 0,
        }
    });
    Reading { id: ContainerId::new(id).unwrap(), rows }
}

fn lenient(text: &str) -> Result<Table, ParseError> {
    tolerant(text.as_bytes(), Bounds::DEFAULT)
}

fn exact(text: &[u8], file: File) -> Result<Table, ParseError> {
    strict(text, file, Bounds::DEFAULT)
}

#[test]
fn any_single_byte_that_differs_is_noticed_by_the_strict_parser() {
    let text = written(File::UserBeancounters, &[sample(101)]);
    let table = exact(&text, File::UserBeancounters).unwrap();
    let mut accepted = 0;
    for place in 0..text.len() {
        for byte in *b" 0x:\t\r\0\n\x0b\xff" {
            let mut changed = text.clone();
            if std::mem::replace(&mut changed[place], byte) == byte {
                continue;
            }
            // Another digit makes another number; nothing else may pass.
            if let Ok(other) = exact(&changed, File::UserBeancounters) {
                assert_ne!(other, table, "byte {place} became {byte} unnoticed");
                assert!(text[place].is_ascii_digit(), "byte {place} became {byte}");
                accepted += 1;
            }
        }
    }
    assert!(accepted > 0, "no changed digit was read as another number");
}

#[test]
fn a_file_cut_anywhere_is_never_whole_unless_at_the_end_of_a_container() {
    let text = written(File::UserBeancounters, &[sample(101), sample(0)]);
    let full = tolerant(&text, Bounds::DEFAULT).unwrap();
    let one = File::UserBeancounters.len(1);
    for end in 0..text.len() {
        let whole = end == one || end == File::UserBeancounters.len(0);
        let cut = &text[..end];
        assert_eq!(exact(cut, File::UserBeancounters).is_ok(), whole, "cut at {end}");
        // What is left is read as far as it goes, and never with a wrong number.
        let read = tolerant(cut, Bounds::DEFAULT).unwrap();
        for (read, full) in read.blocks.iter().zip(&full.blocks) {
            for (resource, row) in read.rows.iter() {
                assert!(row.is_none() || *row == full.rows[resource], "{resource}, cut at {end}");
            }
        }
    }
}

#[test]
fn a_last_row_without_newline_counts_when_it_is_as_wide_as_the_others() {
    let text = written(File::ContainerResources, &[sample(1)]);
    let read = tolerant(&text[..text.len() - 1], Bounds::DEFAULT).unwrap();
    assert!(!read.truncated);
    assert!(read.blocks[0].rows[Resource::SwapPages].is_some());

    let squeezed = lenient("1: kmemsize 1 2 3 4 5\n   numproc 1 2 3 4 55").unwrap();
    assert!(squeezed.truncated, "without columns nobody knows whether a digit is missing");
    assert_eq!(squeezed.blocks[0].rows[Resource::NumProc], None);
}

#[test]
fn a_long_name_is_none_and_makes_no_long_message() {
    let [kept, long] = [64, 65].map(|length| format!("{} 1 2 3 4 5\n", "n".repeat(length)));
    assert_eq!(lenient(&kept).unwrap().blocks[0].others.len(), 1);
    let error = lenient(&long).unwrap_err().to_string();
    assert!(error.starts_with("line 1: expected the name of a resource, found "), "{error}");
    assert!(error.len() < 200, "{error}");
}

#[test]
fn errors_name_the_line_and_what_was_expected() {
    for (text, line, message) in [
        ("Version: 2.4\n", 1, "line 1: expected version 2.5, found \"2.4\""),
        (
            "1: kmemsize 1 2 3 4 5\n\nnumproc 1 2 x 4 5\n",
            3,
            "line 3: expected five numbers below 2^64 after numproc, found \"x\"",
        ),
        (
            "numproc 1 2 3 4\n",
            1,
            "line 1: expected five numbers below 2^64 after numproc, found \"\"",
        ),
        (
            "numproc 1 2 3 4 5 6\n",
            1,
            "line 1: expected the end of the line after five numbers of numproc, found \"6\"",
        ),
        ("numproc 1 2 3 4 18446744073709551616\n", 1, ""),
        ("numproc 1 2 3 4 -5\n", 1, ""),
        ("numproc 1 2 3 4 +5\n", 1, ""),
        (": kmemsize 1 2 3 4 5\n", 1, ""),
        ("a b: kmemsize 1 2 3 4 5\n", 1, ""),
        ("1:\n", 1, "line 1: expected the name of a resource, found \"\""),
        ("num\u{e9} 1 2 3 4 5\n", 1, ""),
        (
            "1: numproc 1 2 3 4 5\nnumproc 1 2 3 4 5\n",
            2,
            "line 2: expected each resource once for a container, found \"numproc\"",
        ),
    ] {
        let error = lenient(text).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        if !message.is_empty() {
            assert_eq!(error.to_string(), message);
        }
    }
    let mut text = written(File::UserBeancounters, &[sample(101)]);
    text[13 + 130 * 3 + 12] = b'k';
    let error = exact(&text, File::UserBeancounters).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 5: expected privvmpages in columns 13 to 24, found \"krivvmpages \""
    );
}

#[test]
fn an_untrusted_file_cannot_ask_for_more_than_its_bounds() {
    let bounds = Bounds { line: 60, blocks: 2, others: 3 };
    let read = |text: &str| tolerant(text.as_bytes(), bounds);
    let blocks = |n: usize| "1: numproc 1 2 3 4 5\n".repeat(n);
    assert_eq!(read(&blocks(2)).unwrap().blocks.len(), 2);
    assert_eq!(read(&blocks(3)).unwrap_err().line, 3);
    let others = |n: usize| "1: a 1 2 3 4 5\n".to_owned() + &"b 1 2 3 4 5\n".repeat(n);
    assert_eq!(read(&others(2)).unwrap().blocks[0].others.len(), 3);
    assert_eq!(read(&others(3)).unwrap_err().line, 4);
    assert!(read(&" ".repeat(60)).is_ok());
    assert!(read(&(" ".repeat(61) + "\n")).is_err());
    let dummies = |n: usize| "dummy 0 0 0 0 0\n".repeat(n);
    assert_eq!(read(&dummies(4)).unwrap().blocks[0].dummies.len(), 4);
    assert_eq!(read(&dummies(5)).unwrap_err().line, 5);

    let text = written(File::UserBeancounters, &[sample(1), sample(2), sample(3)]);
    let error = strict(&text, File::UserBeancounters, bounds).unwrap_err();
    assert_eq!((error.line, error.expected.as_str()), (51, "at most 2 containers"));
}

#[test]
fn nothing_and_headers_alone_are_empty_tables() {
    for text in ["", "\n", "\n\n  \n", "Version: 2.5\n"] {
        assert_eq!(lenient(text), Ok(Table::default()), "{text:?}");
    }
    let header = written(File::UserBeancounters, &[]);
    assert_eq!(exact(&header, File::UserBeancounters), Ok(Table::default()));
    assert!(exact(b"", File::UserBeancounters).is_err());
    assert!(exact(b"", File::ContainerResources).is_err());
    assert!(Block::default().is_empty());
}

#[test]
fn ids_wider_than_ours_are_read_but_are_no_container_id() {
    // Nine digits fit before the colon in column 10, ten before column 11.
    let text = String::from_utf8(written(File::UserBeancounters, &[sample(101)])).unwrap();
    for (id, shown) in [("999999999", "999999999:  "), ("2147483644", "2147483644: ")] {
        let wide = text.replace("      101:  ", shown);
        let table = exact(wide.as_bytes(), File::UserBeancounters).unwrap();
        assert_eq!((table.blocks[0].uid.as_deref(), table.blocks[0].id), (Some(id), None));
        assert_eq!(lenient(&wide), Ok(table));
    }
    for shown in ["     0101:  ", "      1 1:  ", "         :  ", "     101 :  ", "     -101:  "] {
        let wrong = text.replace("      101:  ", shown);
        assert!(exact(wrong.as_bytes(), File::UserBeancounters).is_err(), "{shown:?}");
    }
}

#[test]
fn only_the_two_maxima_mean_unlimited() {
    assert!(is_unlimited(9_223_372_036_854_775_807));
    assert!(is_unlimited(2_147_483_647));
    for value in [0, 1, 2_147_483_646, 2_147_483_648, UNLIMITED - 1, UNLIMITED + 1, u64::MAX] {
        assert!(!is_unlimited(value), "{value}");
    }
}

prop_compose! {
    fn any_row()(numbers in any::<[u64; 5]>(), shifts in any::<[u8; 5]>()) -> Row {
        // Numbers of every length, not mostly of 20 digits.
        let mut numbers = numbers;
        for (number, shift) in numbers.iter_mut().zip(shifts) {
            *number >>= shift % 64;
        }
        row(numbers)
    }
}

prop_compose! {
    fn any_reading()(
        id in 0..=ContainerId::MAX, rows in prop::collection::vec(any_row(), Resource::COUNT),
    ) -> Reading {
        let rows = PerResource::from_fn(|resource| rows[resource.index()]);
        Reading { id: ContainerId::new(id).unwrap(), rows }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back_by_both_parsers(
        readings in prop::collection::vec(any_reading(), 1..4),
    ) {
        for file in FILES {
            let text = written(file, &readings);
            let count = if file == File::ContainerResources { 1 } else { readings.len() };
            prop_assert_eq!(text.len(), file.len(count));
            let table = exact(&text, file).unwrap();
            prop_assert_eq!(table.blocks.len(), count);
            for (block, reading) in table.blocks.iter().zip(&readings) {
                prop_assert_eq!(block.id, file.has_header().then_some(reading.id));
                for (resource, row) in reading.rows.iter() {
                    let shown = file.rows().contains(&Some(resource));
                    prop_assert_eq!(block.rows[resource], shown.then_some(*row));
                }
            }
            prop_assert_eq!(tolerant(&text, Bounds::DEFAULT), Ok(table));
        }
    }

    #[test]
    fn a_damaged_file_never_panics_and_what_strict_reads_tolerant_reads_the_same(
        reading in any_reading(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        for file in FILES {
            let mut text = written(file, &[reading]);
            for (place, byte) in &damage {
                let place = place.index(text.len());
                text[place] = *byte;
            }
            if cut {
                text.truncate(end.index(text.len()));
            }
            let read = tolerant(&text, Bounds::DEFAULT);
            if let Ok(table) = exact(&text, file) {
                prop_assert_eq!(read, Ok(table));
            }
        }
    }

    #[test]
    fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        for file in FILES {
            let _ = exact(&text, file);
        }
        if let Err(error) = tolerant(&text, Bounds::DEFAULT) {
            prop_assert!(!error.to_string().contains('\n'));
        }
    }
}
