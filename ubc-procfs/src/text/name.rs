//! Names of resources as users give them.

use std::fmt;

use ubc_core::Resource;

use super::excerpt;

/// Names that vzctl's configuration files also have.
const ALIASES: [(&str, Resource); 2] =
    [("dcache", Resource::DcacheSize), ("iptentries", Resource::NumIptEnt)];

/// How many similar names an error suggests.
const SUGGESTIONS: usize = 3;

/// A name no resource has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownResource {
    /// The name given: quoted, escaped and shortened.
    pub given: String,
    /// The most similar names, best first; at most 3, none if nothing is
    /// similar.
    pub nearest: Vec<&'static str>,
}

impl fmt::Display for UnknownResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown resource {}; ", self.given)?;
        if self.nearest.is_empty() {
            let all: Vec<&str> = Resource::ALL.iter().map(|resource| resource.name()).collect();
            return write!(f, "accepted: {}", all.join(", "));
        }
        write!(f, "did you mean {}?", self.nearest.join(" or "))
    }
}

impl std::error::Error for UnknownResource {}

/// The resource a user means on a command line or in an API: its name as the
/// file prints it, lower case, or one of vzctl's older names `dcache` and
/// `iptentries`.
///
/// # Errors
///
/// Any other text, with the most similar names.
///
/// # Examples
///
/// ```
/// use ubc_core::Resource;
/// use ubc_procfs::text::name::resource_by_name;
///
/// assert_eq!(resource_by_name("numfile"), Ok(Resource::NumFile));
/// let error = resource_by_name("numporc").unwrap_err();
/// assert_eq!(error.to_string(), "unknown resource \"numporc\"; did you mean numproc?");
/// ```
pub fn resource_by_name(name: &str) -> Result<Resource, UnknownResource> {
    Resource::from_name(name)
        .or_else(|| ALIASES.iter().find(|(alias, _)| *alias == name).map(|&(_, resource)| resource))
        .ok_or_else(|| UnknownResource {
            given: excerpt(name.as_bytes()),
            nearest: nearest(&name.to_ascii_lowercase()),
        })
}

/// The resource a configuration file means: as [`resource_by_name`], in upper
/// case (`NUMFILE`, `DCACHE`), lower case or a mixture.
///
/// # Errors
///
/// Any other text, with the most similar names.
pub fn resource_by_config_name(name: &str) -> Result<Resource, UnknownResource> {
    resource_by_name(&name.to_ascii_lowercase())
        .map_err(|error| UnknownResource { given: excerpt(name.as_bytes()), ..error })
}

/// The names a user may have meant, most similar first.
fn nearest(name: &str) -> Vec<&'static str> {
    // Longer than twice any name: not a slip of the fingers.
    if name.len() > 24 {
        return Vec::new();
    }
    let known = Resource::ALL
        .iter()
        .map(|resource| (resource.name(), resource.name()))
        .chain(ALIASES.iter().map(|(alias, resource)| (*alias, resource.name())));
    let mut found: Vec<(usize, &'static str)> = known
        .map(|(known, meant)| {
            let part = name.len() >= 3 && known.contains(name);
            (if part { 1 } else { distance(name.as_bytes(), known.as_bytes()) }, meant)
        })
        .filter(|&(distance, _)| distance <= 1 + name.len() / 4)
        .collect();
    // Only those that are about as close as the best.
    let best = found.iter().map(|&(distance, _)| distance).min().unwrap_or(0);
    found.retain(|&(distance, _)| distance <= best + 1);
    found.sort_by_key(|&(distance, _)| distance);
    let mut names: Vec<&'static str> = Vec::new();
    for (_, name) in found {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.truncate(SUGGESTIONS);
    names
}

/// How many single changes lead from a text to a name: a byte put in, left
/// out, replaced, or exchanged with its neighbour.
fn distance(from: &[u8], name: &[u8]) -> usize {
    /// The longest name.
    const LONGEST: usize = 12;
    let name = name.get(..LONGEST).unwrap_or(name);
    // Distances from what was seen of the text to each beginning of the name.
    let mut last: [usize; LONGEST + 1] = std::array::from_fn(|j| j);
    let mut before_last = last;
    for (i, &a) in from.iter().enumerate() {
        let mut row = [i + 1; LONGEST + 1];
        for (j, &b) in name.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == name[j - 1] && from[i - 1] == b {
                row[j + 1] = row[j + 1].min(before_last[j - 1] + 1);
            }
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[name.len()]
}

#[cfg(test)]
mod tests;
