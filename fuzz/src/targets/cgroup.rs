//! Files and names of cgroups.

use ubc_cgroup::CgroupName;
use ubc_cgroup::parse::{Stat, limit, membership, pids, values, word_list};

use super::{assert_malformed, assert_one_line, lines};

/// What is read of a cgroup's file is in it, and is read the same again when
/// it is written as the kernel does.
///
/// # Panics
///
/// If that does not hold.
pub fn cgroup_files(data: &[u8]) {
    stat(data);

    match limit(data) {
        Ok(value) => {
            let word = value.map_or("max".to_owned(), |number| number.to_string());
            assert_eq!(limit(format!("{word}\n").as_bytes()), Ok(value));
            if let Some(number) = value {
                let text = String::from_utf8_lossy(data);
                assert_eq!(text.trim_matches([' ', '\t', '\n']).parse(), Ok(number));
            }
        }
        Err(error) => assert_malformed(&error, data),
    }

    match pids(data) {
        Ok(found) => {
            assert!(!found.contains(&0) && found.len() <= lines(data).count());
            let words: Vec<String> = found.iter().map(u32::to_string).collect();
            assert_eq!(pids(words.join("\n").as_bytes()), Ok(found));
        }
        Err(error) => assert_malformed(&error, data),
    }

    let found = membership(data);
    if let Some(path) = found {
        assert_eq!(membership(&[b"0::".as_slice(), path, b"\n"].concat()), Some(path));
    }
    // Lines of cgroup v1 do not matter, whatever the names in them.
    assert_eq!(membership(&[b"1:name=0:::/0::/\n".as_slice(), data].concat()), found);

    let words = word_list(data);
    assert!(words.iter().all(|word| !word.is_empty() && !word.contains([' ', '\t'])));
    assert_eq!(word_list(format!("{}\n", words.join(" ")).as_bytes()), words);
}

fn stat(data: &[u8]) {
    let stat = match Stat::parse(data) {
        Ok(stat) => stat,
        Err(error) => {
            assert_eq!(values(data, ["anon"]).as_ref(), Err(&error));
            return assert_malformed(&error, data);
        }
    };
    let keys = ["anon", "kernel", "slab"];
    assert_eq!(values(data, keys), Ok(keys.map(|key| stat.get(key))));
    let mut text = Vec::new();
    let mut seen = Vec::new();
    for line in lines(data) {
        let mut words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
        // Blank lines, which are left out.
        let (Some(key), Some(value)) = (words.next(), words.next()) else { continue };
        text.extend_from_slice(&[key, b" ", value, b"\n"].concat());
        let (Ok(key), Ok(value)) = (std::str::from_utf8(key), std::str::from_utf8(value)) else {
            continue;
        };
        if !seen.contains(&key) && seen.len() < 16 {
            seen.push(key);
            assert_eq!(stat.get(key), value.parse().ok(), "{key:?}");
        }
    }
    assert_eq!(Stat::parse(&text).as_ref(), Ok(&stat));
}

/// A name that is accepted cannot leave the hierarchy, and slashes around it
/// do not matter.
///
/// # Panics
///
/// If that does not hold.
pub fn cgroup_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let name = CgroupName::new(text);
    assert_eq!(CgroupName::new(&format!("//{text}/")), name);
    let name = match name {
        Ok(name) => name,
        Err(error) => return assert_one_line(&error.to_string()),
    };
    assert_eq!(CgroupName::new(name.as_str()).as_ref(), Ok(&name));
    assert_eq!(name.to_string(), name.as_str());
    assert!(!name.as_str().contains(['\n', '\0']));
    let parts: Vec<&str> = name.as_str().split('/').collect();
    assert!(parts.len() <= 32);
    for part in parts {
        assert!((1..=255).contains(&part.len()) && part != "." && part != "..", "{part:?}");
        assert!(!part.starts_with("cgroup."), "{part:?}");
    }
}
