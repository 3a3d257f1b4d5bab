//! What the command and the daemon say to each other, runtimes to the hook, and recorders to
//! whoever asks later.

/// A request that is read survives being written and read again.
///
/// # Panics
///
/// If that does not hold.
pub fn protocol_request(data: &[u8]) {
    ubc::fuzzing::request(data);
}

/// What happened can be told of any file of a history, a line each.
///
/// # Panics
///
/// If that does not hold.
pub fn history(data: &[u8]) {
    ubc::fuzzing::history(data);
}

/// So does an answer.
///
/// # Panics
///
/// If that does not hold.
pub fn protocol_response(data: &[u8]) {
    ubc::fuzzing::response(data);
}

/// A state that an OCI runtime tells its hook is taken or refused, and what is
/// asked of the daemon then can be sent.
///
/// # Panics
///
/// If that does not hold, or the refusal is not one line.
pub fn hook_state(data: &[u8]) {
    if let Err(message) = ubc::fuzzing::hook_state(data) {
        super::assert_one_line(&message);
    }
}
