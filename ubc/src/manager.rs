//! What a service manager is told, if one started this (sd_notify(3)).

use log::debug;
use sd_notify::NotifyState;

/// The variable that names its socket.
pub(crate) const SOCKET: &str = "NOTIFY_SOCKET";

/// Tells it; without a manager nobody is told.
pub(crate) fn tell(state: &NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        debug!("cannot tell the service manager: {error}");
    }
}

/// The work has begun: whoever waited for the start may rely on it.
pub(crate) fn ready() {
    tell(&NotifyState::Ready);
}
