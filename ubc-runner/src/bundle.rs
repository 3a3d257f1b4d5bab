//! The OCI bundle of the container.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxBuilder, ProcessBuilder, RootBuilder, SpecBuilder};

use crate::Result;
use crate::asked::Asked;

/// Writes `config.json`.
pub(crate) fn write(bundle: &Path, asked: &Asked) -> Result<()> {
    let process = ProcessBuilder::default()
        .args(asked.command.clone())
        .cwd("/")
        .env(["PATH=/usr/sbin:/usr/bin:/sbin:/bin".to_owned()])
        .build()?;
    let spec = SpecBuilder::default()
        .hostname(format!("ct{}", asked.id))
        .root(RootBuilder::default().path(asked.rootfs.canonicalize()?).readonly(false).build()?)
        .process(process)
        .linux(
            LinuxBuilder::default()
                .cgroups_path(PathBuf::from(format!("/ubc-runner/{}", asked.id)))
                .build()?,
        )
        .build()?;
    Ok(spec.save(bundle.join("config.json"))?)
}
