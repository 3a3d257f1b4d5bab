//! Reads a history.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use super::entry::VERSION;
use super::{Entry, Files, Head};

/// Longest line that is read, in bytes: a whole reading of 100 000 containers.
const LONGEST: u64 = 256 << 20;

/// A line that cannot be read. What else there is can.
#[derive(Debug, thiserror::Error)]
#[error("{}:{line}: {why}", path.display())]
pub(crate) struct Damage {
    path: PathBuf,
    line: u64,
    why: String,
}

/// All that was written, the oldest first.
#[derive(Debug)]
pub(crate) struct Player {
    paths: std::vec::IntoIter<PathBuf>,
    file: Option<(PathBuf, Lines<BufReader<File>>)>,
}

/// What is in one file.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    /// The line that was read last, from 1.
    line: u64,
}

impl Player {
    pub(crate) fn open(dir: &Path) -> io::Result<Player> {
        let paths: Vec<PathBuf> = Files::list(dir)?.paths().collect();
        Ok(Player { paths: paths.into_iter(), file: None })
    }
}

impl Iterator for Player {
    type Item = Result<Entry, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((path, lines)) = &mut self.file {
                match lines.next() {
                    Some(Ok(entry)) => return Some(Ok(entry)),
                    // Of what follows nothing is certain.
                    Some(Err((why, rest))) => {
                        let damage = Damage { path: path.clone(), line: lines.line, why };
                        if !rest {
                            self.file = None;
                        }
                        return Some(Err(damage));
                    }
                    None => self.file = None,
                }
            }
            let path = self.paths.next()?;
            match File::open(&path) {
                Ok(file) => {
                    self.file = Some((path, Lines::new(BufReader::new(file))));
                }
                // The recorder made room meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Some(Err(Damage { path, line: 0, why: error.to_string() })),
            }
        }
    }
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(from: R) -> Lines<R> {
        Lines { from, line: 0 }
    }

    /// The next entry; or why not, and whether those behind it can be read.
    pub(crate) fn next(&mut self) -> Option<Result<Entry, (String, bool)>> {
        loop {
            let mut text = Vec::new();
            self.line += 1;
            if let Err(error) = self.from.by_ref().take(LONGEST).read_until(b'\n', &mut text) {
                return Some(Err((error.to_string(), false)));
            }
            if text.last() != Some(&b'\n') {
                // The last line may be on its way, or was never finished.
                let long = text.len() as u64 == LONGEST;
                return long.then(|| Err(("the line is too long".to_owned(), false)));
            }
            if self.line > 1 {
                return Some(serde_json::from_slice(&text).map_err(|error| (told(&error), true)));
            }
            match serde_json::from_slice(&text) {
                Ok(Head { ubc_history: VERSION }) => {}
                Ok(Head { ubc_history }) => {
                    let why = format!("version {ubc_history}; this ubc reads version {VERSION}");
                    return Some(Err((why, false)));
                }
                Err(error) => {
                    return Some(Err((
                        format!("not the head of a history: {}", told(&error)),
                        false,
                    )));
                }
            }
        }
    }
}

/// What is wrong, in a line: serde repeats what it found.
fn told(error: &serde_json::Error) -> String {
    crate::error::one_line(&error.to_string())
}
