//! Every place with `unsafe` says why it is sound, and docs/security.md lists
//! them all.
#![allow(clippy::unwrap_used, reason = "a panic is the failure report")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Set, the table is written instead of compared.
const BLESS: &str = "UBC_BLESS";

const BEGIN: &str = "<!-- unsafe: begin -->\n";
const END: &str = "<!-- unsafe: end -->";

/// How far above its block a reason may begin, in lines: a statement may have
/// begun before the block in it, and a reason may be long.
const REACH: usize = 8;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The sources of the workspace, by their names in it.
fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut left = vec![root()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    assert!(sources.contains_key("ubc/tests/unsafe_code.rs"), "{:?}", sources.keys());
    sources
}

/// The text with blanks for all comments and literals; lines stay lines.
fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = at + literal(&bytes[at..], at.checked_sub(1).map(|before| bytes[before]));
        if end == at {
            at += 1;
            continue;
        }
        let blank = out[at..end].iter_mut().filter(|byte| **byte != b'\n');
        blank.for_each(|byte| *byte = b' ');
        at = end;
    }
    String::from_utf8(out).unwrap()
}

/// How long the comment or literal is that the text begins with; 0: with none.
fn literal(text: &[u8], before: Option<u8>) -> usize {
    let until = |end: &[u8]| {
        let found = text.windows(end.len()).skip(1).position(|part| part == end);
        found.map_or(text.len(), |at| at + 1 + end.len())
    };
    match text {
        [b'/', b'/', ..] => until(b"\n") - 1,
        [b'/', b'*', ..] => until(b"*/"),
        [b'"', ..] => quoted(text, b'"'),
        // A lifetime has no second quote.
        [b'\'', b'\\', ..] => quoted(text, b'\''),
        [b'\'', rest @ ..] => {
            let close = rest.iter().take(5).position(|byte| *byte == b'\'');
            let is_char = |len: &usize| {
                std::str::from_utf8(&rest[..*len]).is_ok_and(|c| c.chars().count() == 1)
            };
            close.filter(is_char).map_or(0, |len| len + 2)
        }
        [b'r', rest @ ..]
            if !before.is_some_and(|byte| byte.is_ascii_alphanumeric() && byte != b'b') =>
        {
            let hashes = rest.iter().take_while(|byte| **byte == b'#').count();
            if rest.get(hashes) != Some(&b'"') {
                return 0;
            }
            let end = [b"\"", &*vec![b'#'; hashes]].concat();
            let from = 1 + hashes + 1;
            let found = text[from..].windows(end.len()).position(|part| part == end);
            found.map_or(text.len(), |at| from + at + end.len())
        }
        _ => 0,
    }
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() && text[at] != quote {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(text.len())
}

/// What is unsafe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Block,
    Function,
    Impl,
    /// `#[unsafe(no_mangle)]`.
    Attribute,
}

/// The places in a text of code, by the numbers of their lines.
fn places(code: &str) -> Vec<(usize, What)> {
    let mut places = Vec::new();
    for (at, _) in code.match_indices("unsafe") {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let after = &code[at + "unsafe".len()..];
        if code[..at].ends_with(is_word) || after.starts_with(is_word) {
            continue;
        }
        let what = match after.trim_start() {
            rest if rest.starts_with('{') => What::Block,
            rest if rest.starts_with('(') => What::Attribute,
            rest if rest.starts_with("impl") => What::Impl,
            rest if rest.starts_with("fn") || rest.starts_with("extern") => What::Function,
            rest => panic!("unknown kind of unsafe: {:?}", rest.lines().next()),
        };
        places.push((code[..at].matches('\n').count(), what));
    }
    places
}

/// Whether a place says why: a block and an impl what makes it sound, a function
/// what its callers have to see to.
fn says_why(lines: &[&str], line: usize, what: What) -> bool {
    match what {
        What::Attribute => true,
        What::Block | What::Impl => {
            let from = line.saturating_sub(REACH);
            lines[from..=line].iter().any(|line| line.contains("// SAFETY: "))
        }
        What::Function => {
            let above = lines[..line].iter().rev().map(|line| line.trim_start());
            above
                .take_while(|line| line.starts_with("//") || line.starts_with("#["))
                .any(|line| line.contains("Safety") || line.contains("SAFETY: "))
        }
    }
}

#[test]
fn no_unsafe_code_is_unexplained_or_missing_from_the_table() {
    let mut table = String::from(
        "| File | Blocks | Functions | Impls | `unsafe(no_mangle)` |\n|---|---|---|---|---|\n",
    );
    let mut silent = Vec::new();
    let sources = sources();
    // Where a crate says it of all its functions, with the reason beside it.
    let of_all = |name: &str| {
        let package = name.split('/').next().unwrap();
        let root = sources.get(&format!("{package}/src/lib.rs"));
        root.is_some_and(|text| text.contains("clippy::missing_safety_doc"))
    };
    for (name, text) in &sources {
        let places = places(&code(text));
        let lines: Vec<&str> = text.lines().collect();
        silent.extend(places.iter().filter_map(|(line, what)| {
            let says = says_why(&lines, *line, *what) || (*what == What::Function && of_all(name));
            (!says).then(|| format!("{name}:{}: {what:?}", line + 1))
        }));
        let count = |kind| match places.iter().filter(|(_, what)| *what == kind).count() {
            0 => String::new(),
            count => count.to_string(),
        };
        if !places.is_empty() {
            let [blocks, functions] = [What::Block, What::Function].map(count);
            let [impls, attributes] = [What::Impl, What::Attribute].map(count);
            let row = format!("| `{name}` | {blocks} | {functions} | {impls} | {attributes} |");
            writeln!(table, "{row}").unwrap();
        }
    }
    assert!(silent.is_empty(), "no reason is given:\n{}", silent.join("\n"));
    let path = root().join("docs/security.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (kept, after) = rest.split_once(END).unwrap();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        return;
    }
    assert_eq!(kept, table, "docs/security.md is not current: {BLESS}=1 writes it");
}

#[test]
fn no_test_that_the_security_page_relies_on_is_missing() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let sources: Vec<String> = sources().into_values().collect();
    let is_name = |word: &&str| {
        let plain = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        plain && word.matches('_').count() > 2
    };
    let names: Vec<&str> = page.split('`').skip(1).step_by(2).filter(is_name).collect();
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        let test = format!("fn {name}()");
        assert!(sources.iter().any(|text| text.contains(&test)), "there is no test {name}");
    }
}

#[test]
fn neither_a_comment_nor_a_text_is_taken_for_code_nor_code_for_one_of_them() {
    let text = r##"// unsafe { }
        /* unsafe fn */ let a = "unsafe { \" unsafe"; let b = r#"unsafe " impl"#;
        let c = '"'; unsafe { f::<'static>('\'', b'"') } /// unsafe
        let not_unsafe = unsafe_code(r, br"unsafe"); unsafe
            impl<'a> Send for A<'a> {} #[unsafe(no_mangle)] pub unsafe extern "C" fn f() {}"##;
    let found: Vec<_> = places(&code(text)).into_iter().collect();
    let kinds = [What::Block, What::Impl, What::Attribute, What::Function];
    assert_eq!(found.iter().map(|(_, what)| *what).collect::<Vec<_>>(), kinds);
    assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 4, 4]);
    let lines = ["// SAFETY: so.", "let x = unsafe {", "#[x]", "unsafe fn f() {}"];
    assert!(says_why(&lines, 1, What::Block) && !says_why(&lines[1..], 0, What::Block));
    assert!(!says_why(&lines, 3, What::Function));
    let lines = ["/// # Safety", "/// Not.", "#[x]", "unsafe fn f() {}"];
    assert!(says_why(&lines, 3, What::Function));
}
