//! What the command and the daemon say to each other.

/// A request that is read survives being written and read again.
///
/// # Panics
///
/// If that does not hold.
pub fn protocol_request(data: &[u8]) {
    ubc::fuzzing::request(data);
}

/// So does an answer.
///
/// # Panics
///
/// If that does not hold.
pub fn protocol_response(data: &[u8]) {
    ubc::fuzzing::response(data);
}
