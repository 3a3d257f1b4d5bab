//! Container ids and names of resources.

use ubc_core::{ContainerId, Resource, UbId};
use ubc_procfs::text::name::{resource_by_config_name, resource_by_name};

use super::assert_one_line;

/// A container id is one to eight digits, and is written as it was read but
/// for leading zeros.
///
/// # Panics
///
/// If that does not hold.
pub fn container_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let wellformed = (1..=8).contains(&data.len()) && data.iter().all(u8::is_ascii_digit);
    let read = text.parse::<ContainerId>();
    assert_eq!(read.is_ok(), wellformed, "{text:?}");
    let Ok(id) = read else { return };
    assert!(id.get() <= ContainerId::MAX);
    assert_eq!(id.to_string().parse(), Ok(id));
    let zeros = text.trim_start_matches('0');
    assert_eq!(id.to_string(), if zeros.is_empty() { "0" } else { zeros });
}

/// The id of a beancounter is container ids with dots between, and is built
/// of its parent and its own number.
///
/// # Panics
///
/// If that does not hold.
pub fn ub_id(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parts: Result<Vec<ContainerId>, _> = text.split('.').map(str::parse).collect();
    let Ok(id) = text.parse::<UbId>() else {
        assert!(parts.map_or(true, |parts| parts.len() > UbId::MAX_DEPTH), "{text:?} is refused");
        return;
    };
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(parts.map(|parts| parts.len()), Ok(id.depth()));
    match id.parent() {
        Some(parent) => assert_eq!(parent.child(id.own()), Some(id)),
        None => assert_eq!(UbId::from(id.container()), id),
    }
}

/// A name is found exactly if it is one of the names; suggestions are names
/// that would have been found.
///
/// # Panics
///
/// If that does not hold.
pub fn resource_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let printed = Resource::ALL.iter().any(|resource| resource.name() == text);
    let found = resource_by_name(text);
    assert_eq!(found.is_ok(), printed || ["dcache", "iptentries"].contains(&text), "{text:?}");
    let config = resource_by_config_name(text);
    assert_eq!(config.is_ok(), resource_by_name(&text.to_ascii_lowercase()).is_ok());
    match (&found, &config) {
        (Ok(found), config) => assert_eq!(Ok(found), config.as_ref()),
        (Err(error), _) => {
            assert_one_line(&error.to_string());
            assert!(error.nearest.len() <= 3);
            for name in &error.nearest {
                assert!(resource_by_name(name).is_ok(), "{name} was suggested");
            }
        }
    }
}
