//! `ubc runtime`: an OCI runtime in front of another one.
//!
//! Engines take a runtime by its path. This one lets the real one read another
//! config.json where the bundle's is: with the hook in it, and the limits that
//! its annotations, its profile or its file ask for. Everything else it passes on
//! as it came, and the bundle stays as it is. It becomes the real runtime, so
//! there is nothing of it that could stay behind. Only for `checkpoint` and
//! `restore` it waits for the real one, because the view has to come back.

mod bundle;
mod command_line;
mod criu;
mod object;
mod settings;
mod spec;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use log::warn;
use ubc_config::Tree;

use crate::error::{Failure, Kind, Result};
use crate::oci::{Annotations, Ceiling};
use crate::paths::RunDir;
use crate::run::runtime::Runtime;
use bundle::Bundle;
use command_line::{CommandLine, Verb};
use settings::Settings;
use spec::{Hook, Spec};

/// How a name of this program begins that is to be a runtime: `ubc-runc` is
/// before runc, `ubc-runtime` before the one in the settings.
const NAME: &str = "ubc-";

/// What the program was started with.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The real runtime, if its name says so.
    pub(crate) runtime: Option<PathBuf>,
    /// What the command line says, which beats the settings.
    pub(crate) run_dir: Option<PathBuf>,
    pub(crate) config_dir: Option<PathBuf>,
    /// The runtime's own words.
    pub(crate) words: Vec<OsString>,
}

impl Asked {
    /// What the program's name and words ask for, if it was started as a runtime.
    pub(crate) fn by_name(mut words: impl Iterator<Item = OsString>) -> Option<Asked> {
        let name = words.next()?;
        let name = Path::new(&name).file_name()?.to_str()?.strip_prefix(NAME)?;
        let runtime = match name {
            "" => return None,
            "runtime" => None,
            name => Some(PathBuf::from(name)),
        };
        Some(Asked { runtime, words: words.collect(), ..Asked::default() })
    }
}

/// Does it; returns only when it cannot. The engine is told as it asked to be.
pub(crate) fn runtime(asked: &Asked) -> Result<ExitCode> {
    let line = CommandLine::read(&asked.words);
    inner(asked, &line).inspect_err(|failure| log_failure(&line, failure))
}

fn inner(asked: &Asked, line: &CommandLine) -> Result<ExitCode> {
    let mut settings = match Settings::load() {
        // A container that runs can be looked at and killed all the same.
        Err(failure) if line.verb == Verb::Other && asked.runtime.is_some() => {
            warn!("{failure}");
            Settings::default()
        }
        settings => settings?,
    };
    let mut words = asked.words.clone();
    if let Some((its, value)) = &line.on_error {
        settings.warn = settings::on_error(value)
            .map_err(|wrong| Failure::usage(format!("--on-error: {wrong}")))?;
        words.drain(its.clone());
    }
    let wanted = asked.runtime.as_deref().or(settings.runtime.as_deref());
    let program = Runtime::find(wanted)?;
    if is_ours(&program) {
        let message =
            format!("the runtime {} is ubc itself; accepted: a real one", program.display());
        return Err(Failure::new(Kind::Config, message));
    }
    let real = Real { program: &program, words: &words, line };
    let done = match line.verb {
        Verb::Make => prepare(asked, line, &settings).map(|_| None),
        Verb::Checkpoint => criu::checkpoint(&Places::of(asked, &settings)?.run, &real),
        Verb::Restore => criu::restore(asked, &settings, &real),
        Verb::Other => Ok(None),
    };
    match done {
        Ok(Some(code)) => return Ok(code),
        Ok(None) => {}
        Err(failure) if settings.warn => warn!("{failure}"),
        Err(failure) => return Err(failure),
    }
    let error = Command::new(&program).args(&words).exec();
    Err(Failure::system(format!("cannot run {}: {error}", program.display())))
}

/// The real runtime, and what it is asked.
struct Real<'a> {
    program: &'a Path,
    /// Without what is ours.
    words: &'a [OsString],
    line: &'a CommandLine,
}

/// What is known of a container that is to be made.
struct Prepared {
    places: Places,
    annotations: Annotations,
    ceiling: Ceiling,
}

/// Puts another config.json before the container's own. On an error it did not. `None` if
/// it is nobody's container.
fn prepare(asked: &Asked, line: &CommandLine, settings: &Settings) -> Result<Option<Prepared>> {
    crate::needs_root()?;
    let path = line.config();
    let shown = path.display();
    let unusable = |what: &str, error: std::io::Error| {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NoContainer,
            _ => Kind::System,
        };
        Failure::new(kind, format!("cannot {what} {shown}: {error}"))
    };
    let wrong = |why: String| Failure::usage(format!("{shown}: {why}"));

    let bundle = Bundle::open(&path).map_err(|error| unusable("read", error))?;
    let mut spec = Spec::parse(&bundle.text).map_err(wrong)?;
    // It holds namespaces for others and is nobody's container.
    if spec.is_sandbox() {
        return Ok(None);
    }
    spec.needs_own_mounts().map_err(wrong)?;
    let places = Places::of(asked, settings)?;
    if let Some(profile) = &settings.profile {
        spec.default_profile(profile);
    }
    let annotations = spec.annotations().map_err(wrong)?;
    let ceiling = spec.ceiling()?.map_err(wrong)?;
    let id = annotations.ctid().or_else(|| places.remembered(line.name.as_deref()));
    let resolved = annotations.resolve(&places.tree, id, &ceiling).map_err(|failure| {
        // A file of configuration has said its own name.
        if failure.message.starts_with("annotation ") {
            Failure::new(failure.kind, format!("{shown}: {failure}"))
        } else {
            failure
        }
    })?;
    spec.limit(&resolved)?.map_err(wrong)?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::system(format!("cannot find this program: {error}")))?;
    let args = places.hook_args(settings);
    let hook = Hook { program: &program, args: &args };
    spec.hook(&hook).map_err(wrong)?;
    if line.verb == Verb::Restore {
        spec.unhook_start(&hook).map_err(wrong)?;
    }
    let text = spec.to_text();
    if text != bundle.text {
        let dir = places.run.path();
        places.run.make().map_err(|error| {
            Failure::system(format!("cannot make the directory {}: {error}", dir.display()))
        })?;
        bundle.cover(&text, dir).map_err(|error| unusable("put another config before", error))?;
    }
    Ok(Some(Prepared { places, annotations, ceiling }))
}

/// The directories the hook is to use too.
struct Places {
    run: RunDir,
    run_dir: Option<PathBuf>,
    tree: Tree,
    config_dir: Option<PathBuf>,
}

impl Places {
    fn of(asked: &Asked, settings: &Settings) -> Result<Places> {
        let run_dir = asked.run_dir.clone().or_else(|| settings.run_dir.clone());
        let config_dir = asked.config_dir.clone().or_else(|| settings.config_dir.clone());
        let run = run_dir.as_deref().unwrap_or_else(|| Path::new(crate::paths::USUAL));
        let run = RunDir::new(run)
            .map_err(|error| Failure::usage(format!("--run-dir {}: {error}", run.display())))?;
        let tree = config_dir.as_deref().unwrap_or_else(|| Path::new(ubc_config::USUAL));
        Ok(Places { run, run_dir, tree: Tree::new(tree), config_dir })
    }

    /// The id a container of this name will have, for the limits its file says.
    fn remembered(&self, name: Option<&str>) -> Option<ubc_core::ContainerId> {
        // What is wrong with the list the daemon will say.
        ubc_node::remembered(&self.run.state(), name?).ok().flatten()
    }

    fn hook_args(&self, settings: &Settings) -> Vec<String> {
        let mut args = vec!["ubc".to_owned()];
        let places = [("--run-dir", &self.run_dir), ("--config-dir", &self.config_dir)];
        for (option, place) in places {
            if let Some(place) = place {
                args.extend([option.to_owned(), place.to_string_lossy().into_owned()]);
            }
        }
        args.push("hook".to_owned());
        if settings.warn {
            args.push("--on-error=warn".to_owned());
        }
        args
    }
}

/// Whether a program is this one, under whatever name.
fn is_ours(program: &Path) -> bool {
    let id = |path: &Path| rustix::fs::stat(path).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    id(program).is_some_and(|program| id(Path::new("/proc/self/exe")) == Some(program))
}

/// Leaves the failure where engines look for it: containerd's shim and conmon
/// read the last line of the runtime's log.
fn log_failure(line: &CommandLine, failure: &Failure) {
    let Some(path) = line.log_file() else { return };
    let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let message = format!("ubc: {failure}");
    let record = if line.log_is_json {
        serde_json::json!({ "level": "error", "msg": message, "time": time }).to_string()
    } else {
        format!("time={time:?} level=error msg={message:?}")
    };
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(path);
    // The same is said on standard error.
    drop(opened.and_then(|mut log| writeln!(log, "{record}")));
}

/// The arguments of `ubc runtime` as clap has them.
pub(crate) fn asked(matches: &clap::ArgMatches, words: &clap::ArgMatches) -> Asked {
    let given = |name: &str| {
        let by_hand = matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
        matches.get_one::<PathBuf>(name).filter(|_| by_hand).map(|path| absolute(path))
    };
    let words = words.get_many::<OsString>("words").unwrap_or_default().cloned().collect();
    let (run_dir, config_dir) = (given("run-dir"), given("config-dir"));
    Asked { runtime: None, run_dir, config_dir, words }
}

/// Hooks run elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_name(words: &[&str]) -> Option<(Option<PathBuf>, usize)> {
        let asked = Asked::by_name(words.iter().map(OsString::from))?;
        Some((asked.runtime, asked.words.len()))
    }

    #[test]
    fn a_link_by_another_name_is_the_runtime_of_that_name() {
        assert_eq!(by_name(&["/usr/bin/ubc-runc", "--version"]), Some((Some("runc".into()), 1)));
        assert_eq!(by_name(&["ubc-runtime", "run", "web"]), Some((None, 2)));
        for name in ["ubc", "/usr/bin/ubc", "ubc-", "runc", "/ubc-x/ubc"] {
            assert_eq!(by_name(&[name, "run"]), None, "{name}");
        }
        assert_eq!(by_name(&[]), None);
    }
}
