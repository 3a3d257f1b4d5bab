//! Where the log goes: to standard error, as lines, or, where systemd has connected
//! that to its journal, to the journal, with the parts of a message as fields.

use std::io::Write;

use log::{Log, Metadata, Record};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::error::one_line;

/// What `journalctl -t` knows us by, whatever the program's file is called.
const IDENTIFIER: &str = "ubc";

/// What is logged unless the administrator asks for something else. Readers that do not
/// wait for their answer make the FUSE library say so each time; what of it matters our
/// own code says.
const USUALLY: &str = "ubc=info,fuse_backend_rs=off,warn";

/// Starts it. Warnings are logged; `UBC_LOG` asks for more, as env_logger does. Of the
/// commands only services speak to the journal: the others run where a runtime says,
/// a container's root included, and its socket would be looked for there.
pub(crate) fn start(is_service: bool) {
    let filter = env_logger::Env::new().filter_or("UBC_LOG", USUALLY);
    let lines = env_logger::Builder::from_env(filter).format(line).build();
    log::set_max_level(lines.filter());
    let logger: Box<dyn Log> = match is_service.then(journal).flatten() {
        Some(journal) => Box::new(Fields { journal, lines }),
        None => Box::new(lines),
    };
    // Nothing else in this process has set one.
    drop(log::set_boxed_logger(logger));
}

fn line(out: &mut env_logger::fmt::Formatter, record: &Record<'_>) -> std::io::Result<()> {
    let text = one_line(&record.args().to_string());
    match record.level() {
        log::Level::Info => writeln!(out, "ubc: {text}"),
        level => writeln!(out, "ubc: {}: {text}", level.as_str().to_ascii_lowercase()),
    }
}

/// The journal, if standard error is connected to it and it listens.
fn journal() -> Option<JournalLog> {
    let journal = connected_to_journal().then(JournalLog::empty)?.ok()?;
    Some(journal.with_syslog_identifier(IDENTIFIER.to_owned()))
}

struct Fields {
    journal: JournalLog,
    /// Chooses what is logged, and takes what the journal does not.
    lines: env_logger::Logger,
}

impl Log for Fields {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.lines.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.lines.matches(record) {
            return;
        }
        // The journal is found by a path, which is a container's to choose there.
        if std::thread::current().name() == Some(ubc_procfs::INSIDE) {
            return self.lines.log(record);
        }
        let text = one_line(&record.args().to_string());
        let sent =
            self.journal.journal_send(&record.to_builder().args(format_args!("{text}")).build());
        if sent.is_err() {
            self.lines.log(record);
        }
    }

    fn flush(&self) {
        self.lines.flush();
    }
}
