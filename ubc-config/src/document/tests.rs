use proptest::prelude::*;

use super::*;

fn value(text: &str, name: &str) -> Option<String> {
    let document = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(document.to_bytes(), text.as_bytes());
    document.get(name).map(|value| String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn values_are_read_as_a_shell_reads_them() {
    for (text, expected) in [
        ("A=b", "b"),
        ("A=\n", ""),
        ("A=\"\"", ""),
        ("A=\"b c\"", "b c"),
        ("A='b c'", "b c"),
        ("  \tA=b\r\n", "b"),
        ("A=b # c", "b"),
        ("A=b#c", "b#c"),
        ("A=\"b\" # \"c\"", "b"),
        ("A='b'\"c\"d", "bcd"),
        ("A=\"b\\\"c\"", "b\"c"),
        ("A=\"\\$b\\`\\\\\\n\"", "$b`\\\\n"),
        ("A='\\$b'", "\\$b"),
        ("A=\\ b", " b"),
        ("A=/vz/root/$VEID", "/vz/root/$VEID"),
        ("A=b\\\nc", "bc"),
        ("A=b\\\n", "b"),
        ("A=b\\", "b\\"),
        ("A=\"b\nc\"\n", "b\nc"),
        ("#A=x\nA=b\n", "b"),
        ("A=b", "b"),
    ] {
        assert_eq!(value(text, "A").as_deref(), Some(expected), "{text:?}");
    }
}

#[test]
fn a_value_that_only_vzctl_takes_ends_at_the_last_quote() {
    let text = "A=\"say \"hi there\" twice\"\nB=1\n";
    assert_eq!(value(text, "A").as_deref(), Some("say \"hi there\" twice"));
    // A shell would read on to the quote of the next line.
    assert_eq!(value("A=\"it\"s\"\nB=\"1\"\n", "B").as_deref(), Some("1"));
}

#[test]
fn a_quote_that_is_escaped_at_the_end_of_a_line_does_not_end_the_value() {
    for value in [b"\"\n'".as_slice(), b"a\\\"\n'", b"say \"hi\"\n\n'"] {
        let mut document = Document::parse(b"").unwrap();
        document.set("A", value);
        let again = Document::parse(&document.to_bytes()).unwrap();
        assert_eq!(again.get("A"), Some(value), "{:?}", document.to_bytes());
    }
}

#[test]
fn lines_of_no_form_are_kept_and_broken_ones_named() {
    let text = ". /etc/other\n\nif true; then\nNUMPROC=5\n9=x\n=y\n";
    let document = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(document.to_bytes(), text.as_bytes());
    assert_eq!(document.others().map(|(line, _)| line).collect::<Vec<_>>(), [1, 3, 5, 6]);
    for (text, line, key, reason) in [
        ("\nNUMPROC 240\n", 2, "NUMPROC", "no assignment; accepted: NAME=\"value\""),
        ("NUMPROC = 240\n", 1, "NUMPROC", "no assignment"),
        ("numproc: 5", 1, "numproc", "no assignment"),
        ("A=1\nB=\"x\nC=2\n", 2, "B", "a quote is not closed"),
        ("A=1 2\n", 1, "A", "text behind the value"),
        ("A='x' y", 1, "A", "text behind the value"),
        ("A='x", 1, "A", "a quote is not closed"),
    ] {
        let error = Document::parse(text.as_bytes()).unwrap_err();
        assert_eq!((error.line, error.key.as_str()), (line, key), "{text:?}");
        assert!(error.reason.contains(reason), "{error}");
        assert!(error.reason.contains("accepted: "), "{error}");
    }
}

#[test]
fn a_change_touches_its_own_value_and_nothing_else() {
    let text = "# top\r\n  NUMPROC=240 # why\nX='1'\nX='2'\nNUMFILE=5\nNUMFILE=6\n\u{ff}\n# end";
    let text = text.as_bytes();
    let mut document = Document::parse(text).unwrap();
    document.set("NUMPROC", b"300");
    document.set("X", b"it's");
    document.set("NUMFILE", b"7");
    document.set("NEW", b"$x");
    let expected = "# top\r\n  NUMPROC=\"300\" # why\nX=\"it's\"\nX='2'\nNUMFILE=5\n\
                    NUMFILE=\"7\"\n\u{ff}\n# end\nNEW='$x'\n";
    assert_eq!(document.to_bytes(), expected.as_bytes());
    assert_eq!(Document::parse(&document.to_bytes()).unwrap().to_bytes(), document.to_bytes());
    assert_eq!(
        (document.line("NUMFILE"), document.line("X"), document.line("NEW")),
        (Some(6), Some(3), None)
    );
    assert!(document.remove("X") && !document.remove("X"));
    assert_eq!(document.get("X"), None);
}

proptest! {
    #[test]
    fn what_is_read_is_written_byte_for_byte(bytes in any::<Vec<u8>>()) {
        if let Ok(document) = Document::parse(&bytes) {
            prop_assert_eq!(document.to_bytes(), bytes);
        }
    }

    #[test]
    fn likely_texts_are_written_byte_for_byte(text in "([A-C]=|[\"'# \\\\xy\n$])*") {
        if let Ok(document) = Document::parse(text.as_bytes()) {
            prop_assert_eq!(document.to_bytes(), text.into_bytes());
        }
    }

    #[test]
    fn any_value_is_read_as_it_was_set(
        before in "([A-C]=\"[xy]*\"\n|# [a-z]*\n)*",
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut document = Document::parse(before.as_bytes()).unwrap();
        let others = ["A", "C"].map(|name| document.get(name).map(<[u8]>::to_vec));
        document.set("B", &value);
        let again = Document::parse(&document.to_bytes()).unwrap();
        prop_assert_eq!(again.get("B"), Some(value.as_slice()));
        for (name, other) in ["A", "C"].into_iter().zip(others) {
            prop_assert_eq!(again.get(name), other.as_deref());
        }
    }

    #[test]
    fn what_is_added_is_swallowed_by_no_value_before_it(text in "([A-C]=|[\"'# \\\\xy\n$])*") {
        let Ok(mut document) = Document::parse(text.as_bytes()) else { return Ok(()) };
        let names = ["A", "B", "C"];
        let others = names.map(|name| document.get(name).map(<[u8]>::to_vec));
        document.comment("# more");
        document.set("D", b"value");
        let again = Document::parse(&document.to_bytes()).unwrap();
        prop_assert_eq!(again.get("D"), Some(b"value".as_slice()));
        for (name, other) in names.into_iter().zip(others) {
            prop_assert_eq!(again.get(name), other.as_deref());
        }
    }
}
