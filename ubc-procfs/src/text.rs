//! The texts: what the files of `/proc` say and what administrators write.
//!
//! | module | text | direction |
//! |---|---|---|
//! | [`table`] | `/proc/user_beancounters`, `/proc/bc/resources`, `/proc/bc/<id>/resources` | write |
//! | [`parse`] | the same, as any OpenVZ kernel wrote them | read |
//! | [`value`] | `barrier:limit` of `vzctl set` and of configuration files | both |
//! | [`meminfo`] | `/proc/meminfo` of a container, `--meminfo` of `vzctl set` | write, read |
//! | [`name`] | names of resources as users give them | read |
//! | [`idmap`] | `/proc/PID/uid_map` and `gid_map` | read |
//!
//! All of them are functions from text to values and back; nothing here
//! opens a file.

pub mod idmap;
pub mod layout;
pub mod meminfo;
pub mod name;
pub mod parse;
pub mod table;
pub mod value;

/// A piece of somebody's input fit for an error message: quoted, control
/// characters escaped, shortened, on one line.
fn excerpt(text: &[u8]) -> String {
    const MOST: usize = 40;
    let shown = text.get(..MOST).unwrap_or(text);
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("\"{}{dots}\"", shown.escape_ascii())
}
