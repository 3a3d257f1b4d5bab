//! The OCI bundle of a container: what the runtime is asked to make.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Capability, LinuxBuilder, LinuxCapabilitiesBuilder, ProcessBuilder, RootBuilder, Spec,
    SpecBuilder,
};
use ubc_core::ContainerId;

use crate::error::{Failure, Result};

/// What root of a container may do: the set that container engines grant by
/// default, and NET_ADMIN, because a container has its own network and, as in
/// OpenVZ, its own packet filter (numiptent).
const CAPABILITIES: [Capability; 15] = [
    Capability::AuditWrite,
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Mknod,
    Capability::NetAdmin,
    Capability::NetBindService,
    Capability::NetRaw,
    Capability::Setfcap,
    Capability::Setgid,
    Capability::Setpcap,
    Capability::Setuid,
    Capability::SysChroot,
];

/// What to run, and where.
pub(super) struct Wanted<'a> {
    pub(super) id: ContainerId,
    pub(super) rootfs: &'a Path,
    /// Below the root of the cgroup2 hierarchy, no leading slash.
    pub(super) cgroup: &'a Path,
    pub(super) command: &'a [String],
}

/// Writes `config.json` into the bundle directory.
pub(super) fn write(bundle: &Path, wanted: &Wanted<'_>) -> Result<()> {
    let failed = |error: oci_spec::OciSpecError| {
        Failure::system(format!("cannot write the bundle in {}: {error}", bundle.display()))
    };
    spec(wanted).and_then(|spec| spec.save(bundle.join("config.json"))).map_err(failed)
}

fn spec(wanted: &Wanted<'_>) -> std::result::Result<Spec, oci_spec::OciSpecError> {
    let capabilities = || CAPABILITIES.into_iter().collect::<oci_spec::runtime::Capabilities>();
    let process = ProcessBuilder::default()
        .args(wanted.command.to_vec())
        .cwd("/")
        .env(environment())
        .no_new_privileges(false)
        .capabilities(
            LinuxCapabilitiesBuilder::default()
                .bounding(capabilities())
                .effective(capabilities())
                .permitted(capabilities())
                .inheritable(oci_spec::runtime::Capabilities::new())
                .ambient(oci_spec::runtime::Capabilities::new())
                .build()?,
        )
        .build()?;
    SpecBuilder::default()
        .hostname(format!("ct{}", wanted.id))
        .root(RootBuilder::default().path(wanted.rootfs).readonly(false).build()?)
        .process(process)
        .linux(
            LinuxBuilder::default().cgroups_path(PathBuf::from("/").join(wanted.cgroup)).build()?,
        )
        .build()
}

fn environment() -> Vec<String> {
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    vec![
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
        format!("TERM={term}"),
        "HOME=/root".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::LinuxNamespaceType;

    use super::*;

    #[test]
    fn a_container_shares_no_counted_namespace_with_the_host() {
        let wanted = Wanted {
            id: ContainerId::new(101).unwrap(),
            rootfs: Path::new("/r"),
            cgroup: Path::new("ubc/101"),
            command: &["true".to_owned()],
        };
        let spec = spec(&wanted).unwrap();
        let linux = spec.linux().as_ref().unwrap();
        let namespaces = linux.namespaces().as_ref().unwrap();
        for kind in [
            LinuxNamespaceType::Pid,
            LinuxNamespaceType::Mount,
            LinuxNamespaceType::Ipc,
            LinuxNamespaceType::Uts,
            LinuxNamespaceType::Network,
            LinuxNamespaceType::Cgroup,
        ] {
            assert!(namespaces.iter().any(|n| n.typ() == kind && n.path().is_none()), "{kind}");
        }
        assert_eq!(linux.cgroups_path().as_deref(), Some(Path::new("/ubc/101")));
    }
}
