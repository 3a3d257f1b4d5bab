use super::*;

fn read(text: &str, column: &str) -> Vec<Fact> {
    let mut reader = Reader::default();
    for line in text.lines() {
        reader.line(line);
    }
    reader.facts(column)
}

const OUTPUT: &str = "\
running 5 tests
test a ... ok
FACT: enforcement | numproc | pids.max | proven

successes:

---- a stdout ----
FACT: runtimes | runc

---- b stdout ----
FACT: runtimes | crun
SKIP: crun is not installed

---- c stdout ----
FACT: runtimes | runc


successes:
    a
    b
    c

failures:

---- d stdout ----
FACT: runtimes | LXC
thread 'd' panicked
---- e stdout ----
FACT: runtimes | runc

failures:
    d
    e

test result: FAILED. 3 passed; 2 failed; 0 ignored
";

#[test]
fn a_fact_has_the_outcome_of_the_test_that_told_it() {
    let facts = read(OUTPUT, "here");
    let told: Vec<(&str, &Value)> = facts.iter().map(|f| (f.row.as_str(), &f.value)).collect();
    let text = Value::Text("pids.max | proven".to_owned());
    assert_eq!(
        told,
        [
            ("numproc", &text),
            ("runc", &Value::Passed),
            ("crun", &Value::Skipped),
            ("runc", &Value::Passed),
            ("LXC", &Value::Failed),
            ("runc", &Value::Failed),
        ]
    );
    assert!(facts.iter().all(|fact| fact.column == "here"));
}

#[test]
fn a_skip_of_one_binary_is_not_the_next_ones() {
    let skipped = "---- a stdout ----\nSKIP: no\n\nsuccesses:\n    a\ntest result: ok. 1 passed\n";
    let next = "successes:\n---- b stdout ----\nFACT: t | b\nsuccesses:\ntest result: ok. 1\n";
    let facts = read(&format!("{skipped}{next}"), "");
    assert_eq!(facts[0].value, Value::Passed);
}

#[test]
fn what_a_machine_did_not_tell_is_a_dash_and_nothing_is_hidden() {
    let mut facts = read(OUTPUT, "here 6.18");
    facts.extend(read("---- c stdout ----\nFACT: runtimes | crun\n", "trixie 6.12"));
    assert_eq!(
        tables(&facts),
        "\nenforcement  here 6.18\n\
         numproc      pids.max | proven\n\
         \nruntimes  here 6.18           trixie 6.12\n\
         runc      1 failed, 2 passed  -\n\
         crun      skipped             passed\n\
         LXC       failed              -\n"
    );
}

#[test]
fn cells_of_two_machines_do_not_end_in_one_table() {
    let cell = |value: &str| {
        let text = format!("---- a stdout ----\nCELL: engines | runc | view | {value}\n");
        format!("{text}CELL: engines | runc | removed\nFACT: engines | runc\n")
    };
    let mut facts = read(&cell("yes | all"), "here 6.18");
    facts.extend(read(&cell("FAILED"), "trixie 6.12"));
    assert_eq!(
        tables(&facts),
        "\nengines, here 6.18  view\nrunc                yes | all\n\
         \nengines  here 6.18  trixie 6.12\nrunc     passed     passed\n\
         \nengines, trixie 6.12  view\nrunc                  FAILED\n"
    );
}
