//! `ubc completions` and `ubc man`: what a package installs besides.

use std::path::PathBuf;

use clap::ArgMatches;
use clap_complete::Shell;

use crate::cli::required;
use crate::error::{Failure, Result};

/// Prints the completions of a shell.
pub(crate) fn completions(matches: &ArgMatches) -> Result<()> {
    let shell: Shell = required(matches, "shell");
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "ubc", &mut script);
    crate::print(|out| out.write_all(&script))
}

/// Prints the manual page, or writes one for each command.
pub(crate) fn man(matches: &ArgMatches) -> Result<()> {
    let command = crate::cli::command();
    let Some(dir) = matches.get_one::<PathBuf>("dir") else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command)
            .render(&mut page)
            .map_err(|error| Failure::system(format!("cannot write: {error}")))?;
        return crate::print(|out| out.write_all(&page));
    };
    std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(command, dir))
        .map_err(|error| Failure::system(format!("cannot write to {}: {error}", dir.display())))
}
