//! The types and functions of the running kernel, read when first asked for:
//! it takes a while, and taking over programs on duty needs none of it.

use std::cell::OnceCell;

use libbpf_rs::Btf;
use libbpf_rs::btf::types::Func;

use crate::{Error, Result};

/// What the kernel says of itself.
#[derive(Default)]
pub(crate) struct Types(OnceCell<Result<Btf<'static>, String>>);

impl Types {
    fn read(&self) -> &Result<Btf<'static>, String> {
        self.0.get_or_init(|| Btf::from_vmlinux().map_err(|error| error.to_string()))
    }

    /// An error if the kernel says nothing.
    pub(crate) fn check(&self) -> Result<()> {
        self.read().as_ref().map(drop).map_err(|reason| Error::NoTypes(reason.clone()))
    }

    /// Whether the kernel has a function that programs can attach to.
    pub(crate) fn has_function(&self, name: &str) -> bool {
        let types = self.read().as_ref();
        types.is_ok_and(|types| types.type_by_name::<Func<'_>>(name).is_some())
    }
}
