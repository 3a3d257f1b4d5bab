//! The ids of containers whose makers give them only names, kept over restarts
//! of the daemon and of the machine.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use log::warn;
use serde::{Deserialize, Serialize};
use ubc_core::ContainerId;

/// How many names are kept; of more, those not seen for longest are dropped.
/// podman gives a new name to each container it makes.
const MOST: usize = 4096;

/// Longest file that is read: each name four times as long as engines use.
const LONGEST: u64 = 4 << 20;

const FILE: &str = "ids.json";

/// Which name has which id.
#[derive(Debug)]
pub(crate) struct Names {
    /// None: kept as long as the node only.
    dir: Option<PathBuf>,
    /// Last seen last.
    kept: Vec<(String, ContainerId)>,
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content<K> {
    version: u32,
    ids: K,
}

const VERSION: u32 = 1;

impl Names {
    /// What the directory keeps. A file that makes no sense is put aside.
    pub(crate) fn load(dir: Option<PathBuf>) -> Names {
        let Some(dir) = dir else { return Names { dir, kept: Vec::new() } };
        let path = dir.join(FILE);
        let kept = match read(&path) {
            Ok(kept) => kept,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                let aside = path.with_extension("damaged");
                let put = std::fs::rename(&path, &aside).err();
                let put = put.map_or(format!("is now {}", aside.display()), |why| why.to_string());
                warn!("{}: {error}; {put}; named containers get new ids", path.display());
                Vec::new()
            }
        };
        Names { dir: Some(dir), kept }
    }

    /// The id of a name.
    pub(crate) fn id(&self, name: &str) -> Option<ContainerId> {
        self.kept.iter().find(|(its, _)| its == name).map(|(_, id)| *id)
    }

    /// Whether an id is some name's.
    pub(crate) fn has(&self, id: ContainerId) -> bool {
        self.kept.iter().any(|(_, its)| *its == id)
    }

    /// A container of this name has this id, from now on. What cannot be
    /// written is forgotten with the daemon, and said so.
    pub(crate) fn keep(&mut self, name: String, id: ContainerId) {
        let known = self.id(&name) == Some(id);
        self.kept.retain(|(its, other)| *its != name && *other != id);
        self.kept.push((name, id));
        let surplus = self.kept.len().saturating_sub(MOST);
        self.kept.drain(..surplus);
        // The order alone is not worth a write.
        if !known
            && let Some(dir) = &self.dir
            && let Err(error) = self.write(dir)
        {
            warn!("cannot keep container ids in {}: {error}", dir.display());
        }
    }

    /// Replaces the file in one step: after a crash it is the old or the new.
    fn write(&self, dir: &Path) -> io::Result<()> {
        // For root only, like all that tells of containers.
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let fresh = dir.join(format!("{FILE}.new"));
        let mut text = serde_json::to_vec(&Content { version: VERSION, ids: &self.kept })?;
        text.push(b'\n');
        let written = File::create(&fresh).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.and_then(|()| std::fs::rename(&fresh, dir.join(FILE))).inspect_err(|_| {
            // What could not be finished takes no room from the next attempt.
            let _ = std::fs::remove_file(&fresh);
        })?;
        File::open(dir)?.sync_all()
    }
}

/// The id that a container of this name had when a node with this
/// [`Options::state`](crate::Options::state) last met it, and will have again
/// unless another container has it by then.
///
/// # Errors
///
/// The directory's list of names cannot be read. None at all is no error.
pub fn remembered(state: &Path, name: &str) -> io::Result<Option<ContainerId>> {
    let kept = match read(&state.join(FILE)) {
        Ok(kept) => kept,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(kept.into_iter().find(|(its, _)| its == name).map(|(_, id)| id))
}

fn read(path: &Path) -> io::Result<Vec<(String, ContainerId)>> {
    let wrong = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why);
    let mut text = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(wrong("too long"));
    }
    let content: Content<Vec<(String, ContainerId)>> = serde_json::from_slice(&text)?;
    let names: HashSet<&String> = content.ids.iter().map(|(name, _)| name).collect();
    let ids: HashSet<ContainerId> = content.ids.iter().map(|(_, id)| *id).collect();
    let distinct = names.len() == content.ids.len() && ids.len() == content.ids.len();
    let host = content.ids.iter().any(|(_, id)| id.is_host());
    match (content.version, distinct && !host) {
        (VERSION, true) => Ok(content.ids),
        (VERSION, false) => Err(wrong("a name or an id is in it twice, or the host's")),
        _ => Err(wrong("another version")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ContainerId {
        ContainerId::new(number).unwrap()
    }

    #[test]
    fn a_name_has_its_id_again_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let at = || Some(dir.path().join("state"));
        let mut names = Names::load(at());
        names.keep("web \"1\"\n".to_owned(), id(10_000_000));
        names.keep("db".to_owned(), id(10_000_001));
        // A new id for a name, and a new name for an id, leave nothing old.
        names.keep("db".to_owned(), id(10_000_002));
        names.keep("mail".to_owned(), id(10_000_002));
        let names = Names::load(at());
        assert_eq!(names.id("web \"1\"\n"), Some(id(10_000_000)));
        assert_eq!((names.id("db"), names.id("mail")), (None, Some(id(10_000_002))));
        assert!(!names.has(id(10_000_001)) && names.has(id(10_000_002)));
        let state = dir.path().join("state");
        assert_eq!(remembered(&state, "mail").unwrap(), Some(id(10_000_002)));
        assert_eq!(remembered(&state, "db").unwrap(), None);
        assert_eq!(remembered(dir.path(), "mail").unwrap(), None);
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_not_believed() {
        for text in [
            "",
            "{",
            "[]",
            r#"{"version":2,"ids":[]}"#,
            r#"{"version":1,"ids":[["a",0]]}"#,
            r#"{"version":1,"ids":[["a",100000000]]}"#,
            r#"{"version":1,"ids":[["a",1],["a",2]]}"#,
            r#"{"version":1,"ids":[["a",1],["b",1]]}"#,
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let mut names = Names::load(Some(dir.path().to_owned()));
            assert_eq!(names.kept, [], "{text}");
            let aside = std::fs::read_to_string(dir.path().join("ids.damaged")).unwrap();
            assert_eq!(aside, text);
            names.keep("a".to_owned(), id(7));
            assert_eq!(Names::load(Some(dir.path().to_owned())).id("a"), Some(id(7)));
        }
    }

    #[test]
    fn names_nobody_uses_any_more_do_not_fill_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let kept = (1..).map(|n| (format!("{n}"), id(n))).take(MOST).collect();
        let mut names = Names { dir: Some(dir.path().to_owned()), kept };
        names.keep("1".to_owned(), id(1));
        names.keep("new".to_owned(), id(99_999_999));
        assert_eq!(names.kept.len(), MOST);
        assert_eq!((names.id("1"), names.id("2")), (Some(id(1)), None));
        assert_eq!(Names::load(Some(dir.path().to_owned())).kept, names.kept);
    }
}
