//! A terminal for a program, and what it shows.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A program on a terminal of 24 lines of 100 columns.
pub(crate) struct Terminal {
    child: Child,
    input: File,
    shown: Arc<Mutex<Shown>>,
}

struct Shown {
    screen: vt100::Parser,
    /// Whether a cell was ever reversed.
    flashed: bool,
    raw: Vec<u8>,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        // Not our own terminal: its end would be ours.
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = rustix::fs::open(name.as_c_str(), flags, Mode::empty()).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        command.env("TERM", "xterm-256color").env_remove("NO_COLOR");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        drop(slave);
        let input = File::from(master);
        let mut output = input.try_clone().unwrap();
        let screen = vt100::Parser::new(24, 100, 0);
        let shown = Shown { screen, flashed: false, raw: Vec::new() };
        let shown = Arc::new(Mutex::new(shown));
        let fill = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // EIO once the program has closed its end.
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let mut shown = fill.lock().unwrap();
                shown.raw.extend_from_slice(&bytes[..length]);
                shown.screen.process(&bytes[..length]);
                let screen = shown.screen.screen();
                let cells = (0..24).flat_map(|row| (0..100).map(move |column| (row, column)));
                let reversed = cells
                    .filter_map(|(row, column)| screen.cell(row, column))
                    .any(vt100::Cell::inverse);
                shown.flashed |= reversed;
            }
        });
        Terminal { child, input, shown }
    }

    /// The text on it.
    pub(crate) fn text(&self) -> String {
        self.shown.lock().unwrap().screen.screen().contents()
    }

    /// Every byte that was written to it.
    pub(crate) fn raw(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap().raw).into_owned()
    }

    /// Whether anything was ever shown reversed.
    pub(crate) fn flashed(&self) -> bool {
        self.shown.lock().unwrap().flashed
    }

    pub(crate) fn wait_for(&self, what: &str) {
        super::wait_until(&format!("{what:?} on the terminal"), || self.text().contains(what));
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.input.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the program's end.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
