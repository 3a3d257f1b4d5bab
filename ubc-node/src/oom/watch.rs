//! Waits until memory gets scarce, without waking up before.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use log::{debug, warn};
use parking_lot::Mutex;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use ubc_cgroup::Host;
use ubc_cgroup::oom::Pressure;

use crate::bell::{Bell, Rung};

/// After this long without pressure memory is no longer called scarce.
const CALM: Duration = Duration::from_secs(10);

/// What the bell's events carry; triggers count from 1.
const BELL: u64 = 0;

/// The triggers of the machine and of cgroups, and a bell for those who saw
/// for themselves that the order may have changed.
pub(crate) struct Pressures {
    epoll: OwnedFd,
    bell: Arc<Bell>,
    rung: Rung,
    triggers: Mutex<Triggers>,
    stopped: AtomicBool,
}

#[derive(Default)]
struct Triggers {
    last: u64,
    /// By cgroup, `None` for the machine; one the kernel refused stays here
    /// without a trigger, so that it is not asked for again and again.
    armed: BTreeMap<Option<String>, (u64, Option<Pressure>)>,
}

impl Pressures {
    /// No triggers yet.
    pub(crate) fn new() -> io::Result<Arc<Pressures>> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let (bell, rung) = Bell::new()?;
        epoll::add(&epoll, &rung, EventData::new_u64(BELL), EventFlags::IN)?;
        let (bell, triggers) = (Arc::new(bell), Mutex::default());
        let stopped = AtomicBool::new(false);
        Ok(Arc::new(Pressures { epoll, bell, rung, triggers, stopped }))
    }

    /// Rung by whoever sees that the order may have changed.
    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.bell
    }

    /// Ends the thread.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Watches the memory of these from now on, and of no others.
    pub(crate) fn watch(&self, host: &Host, wanted: &BTreeSet<Option<String>>) {
        let mut triggers = self.triggers.lock();
        // A trigger that is closed leaves the set.
        triggers.armed.retain(|name, _| wanted.contains(name));
        for name in wanted {
            if triggers.armed.contains_key(name) {
                continue;
            }
            triggers.last += 1;
            let token = triggers.last;
            let armed = match name {
                None => Pressure::of_machine(),
                Some(name) => Pressure::of_cgroup(host, name),
            };
            let armed = armed.map_err(io::Error::other).and_then(|pressure| {
                let data = EventData::new_u64(token);
                epoll::add(&self.epoll, &pressure, data, EventFlags::PRI)?;
                Ok(pressure)
            });
            let trigger = armed.map_err(|error| {
                warn!("the out-of-memory order is not renewed as memory gets scarce: {error}");
            });
            triggers.armed.insert(name.clone(), (token, trigger.ok()));
        }
    }

    /// Calls `look` with whether memory is scarce: when it gets so, when it
    /// has been so no longer for a while, and when the bell rings.
    pub(crate) fn start(
        self: &Arc<Self>,
        look: impl Fn(bool) + Send + 'static,
    ) -> io::Result<JoinHandle<()>> {
        let pressures = Arc::clone(self);
        std::thread::Builder::new().name("ubc-oom".to_owned()).spawn(move || {
            if let Err(error) = pressures.wait(look) {
                warn!("cannot wait for memory pressure: {error}");
            }
        })
    }

    fn wait(&self, look: impl Fn(bool)) -> io::Result<()> {
        let mut events = Vec::with_capacity(16);
        let mut calm: Option<Instant> = None;
        loop {
            let left = calm.map(|calm| calm.saturating_duration_since(Instant::now()));
            let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
            match epoll::wait(&self.epoll, spare_capacity(&mut events), left.as_ref()) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            // Every event is taken, not only the first that tells of pressure.
            if events.drain(..).filter(|event| self.take(*event)).count() > 0 {
                debug!("memory is scarce");
                calm = Some(Instant::now() + CALM);
            }
            if self.stopped.load(Ordering::Acquire) {
                return Ok(());
            }
            calm = calm.filter(|calm| *calm > Instant::now());
            look(calm.is_some());
        }
    }

    /// Whether an event tells of pressure.
    fn take(&self, event: Event) -> bool {
        // A packed structure: fields are copied out.
        let (flags, token) = (event.flags, event.data.u64());
        if token == BELL {
            self.rung.clear();
            return false;
        }
        if flags.contains(EventFlags::ERR) {
            // Its cgroup is gone and would tell so for ever.
            self.triggers.lock().armed.retain(|_, (its, _)| *its != token);
            return false;
        }
        flags.contains(EventFlags::PRI)
    }
}
