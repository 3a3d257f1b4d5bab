//! The links that lead into the native procfs.
//!
//! Where procfs has a file or a directory, the view has a link, always with the
//! same text. Where procfs itself has a link, there are two answers: who reads
//! it gets the native text, and who walks through it is led to the native
//! link, so that what it leads to is what the kernel says and not a path with
//! the same text (`/proc/PID/root` of another mount namespace, `/proc/self/exe`
//! of a removed file). Each lookup of such a name asks which of the two it is.

use std::ffi::CStr;
use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fuse_backend_rs::api::filesystem::Context;
use rustix::fs::{FileType, Stat};
use rustix::io::Errno;

use super::names::Names;
use super::node::Node;
use super::{A_MINUTE, NATIVE_DIR, View, not_found};

impl View {
    /// A name in the root that is no process.
    pub(super) fn find_static(
        &self,
        caller: &Context,
        name: &CStr,
    ) -> io::Result<(Node, Duration)> {
        let st = self.native()?.stat(name)?;
        let number = self.statics.number(name)?;
        if !is_link(&st) {
            return Ok((Node::Static(number), A_MINUTE));
        }
        // Where nobody can tell, walking is what has to work.
        let reads = self.reads_link(caller).unwrap_or(false);
        let node =
            if reads { Node::RootLink(number, self.next_serial()) } else { Node::Static(number) };
        Ok((node, Duration::ZERO))
    }

    /// A name in the directory of a process.
    pub(super) fn find_in_pid(
        &self,
        caller: &Context,
        pid: u32,
        name: &CStr,
    ) -> io::Result<(Node, Duration)> {
        self.check_entered(caller, pid)?;
        let st = self.native()?.stat_in_pid(pid, name)?;
        let number = self.pid_entries.number(name)?;
        if !is_link(&st) {
            return Ok((Node::PidEntry(pid, number), A_MINUTE));
        }
        // Where nobody can tell, the native text leads to the same most often.
        let reads = self.reads_link(caller).unwrap_or(true);
        let node = if reads {
            Node::PidLink(pid, number, self.next_serial())
        } else {
            Node::PidEntry(pid, number)
        };
        Ok((node, Duration::ZERO))
    }

    fn reads_link(&self, caller: &Context) -> Option<bool> {
        self.askers.as_ref()?.reads_link(caller.pid)
    }

    fn next_serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// What a link says.
    pub(super) fn link_text(&self, caller: &Context, node: Node) -> io::Result<Vec<u8>> {
        let name = |names: &Names, number| names.get(number).ok_or_else(not_found);
        match node {
            Node::Static(number) => {
                let name = name(&self.statics, number)?;
                Ok([NATIVE_DIR.as_bytes(), b"/", name.to_bytes()].concat())
            }
            Node::RootLink(number, _) => {
                let name = name(&self.statics, number)?;
                // What these say depends on who reads them, and that is not us.
                let own = || self.asker(caller)?.own().ok_or_else(not_found);
                match name.to_bytes() {
                    b"self" => own().map(|(pid, _)| pid.to_string().into_bytes()),
                    b"thread-self" => {
                        own().map(|(pid, thread)| format!("{pid}/task/{thread}").into_bytes())
                    }
                    _ => self.native()?.readlink(&name),
                }
            }
            Node::PidEntry(pid, number) => {
                let name = name(&self.pid_entries, number)?;
                let pid = pid.to_string();
                let parts: [&[u8]; 6] =
                    [b"../", NATIVE_DIR.as_bytes(), b"/", pid.as_bytes(), b"/", name.to_bytes()];
                Ok(parts.concat())
            }
            Node::PidLink(pid, number, _) => {
                // The server reads the link with the host's rights, so it has
                // to ask what the kernel would have asked of the caller.
                if !self.asker(caller)?.may_look(pid) {
                    return Err(Errno::ACCESS.into());
                }
                self.native()?.readlink_in_pid(pid, &name(&self.pid_entries, number)?)
            }
            _ => Err(Errno::INVAL.into()),
        }
    }
}

fn is_link(st: &Stat) -> bool {
    FileType::from_raw_mode(st.st_mode) == FileType::Symlink
}
