//! Serving a view over a FUSE device.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread::JoinHandle;

use fuse_backend_rs::api::filesystem::FileSystem;
use fuse_backend_rs::api::server::Server;
use fuse_backend_rs::transport::{FuseBuf, FuseDevWriter, Reader, Writer};
use log::{debug, warn};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Room for one request. The kernel asks for 8 KiB or one write of 4 KiB with
/// its headers, whichever is more (`fuse_dev_do_read`); longer requests it
/// refuses on its own.
const REQUEST: usize = 16 * 1024;

/// Room for one reply: 32 pages, the most the kernel asks for of a server that
/// did not negotiate more, and the header.
const REPLY: usize = 32 * 4096 + 4096;

/// Enough for the deepest call below, and little to reserve for each view.
const STACK: usize = 256 * 1024;

/// One end of a FUSE connection: who holds it can serve the mount.
///
/// As long as any process holds it, readers of the mount wait instead of
/// failing.
#[derive(Debug)]
pub struct Device(OwnedFd);

impl Device {
    /// A new, unconnected device.
    ///
    /// # Errors
    ///
    /// /dev/fuse is missing or may not be opened.
    pub fn open() -> io::Result<Device> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        Ok(Device(rustix::fs::open("/dev/fuse", flags, Mode::empty())?))
    }

    pub(crate) fn raw(&self) -> i32 {
        self.0.as_raw_fd()
    }

    /// Another descriptor of the same connection.
    pub(crate) fn try_clone(&self) -> io::Result<Device> {
        Ok(Device(self.0.try_clone()?))
    }
}

/// Serves the view on a thread of its own until the last mount of it is gone.
///
/// # Errors
///
/// The thread cannot be started.
pub(crate) fn spawn(
    view: impl FileSystem<Inode = u64, Handle = u64> + Send + Sync + 'static,
    device: Device,
    name: &str,
) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(move || {
        if let Err(error) = serve(&Server::new(view), &device) {
            warn!("view: the FUSE device failed: {error}");
        }
    })
}

fn serve(server: &Server<impl FileSystem + Sync>, device: &Device) -> io::Result<()> {
    let mut request = vec![0; REQUEST];
    let mut reply = vec![0; REPLY];
    loop {
        let len = match rustix::io::read(&device.0, request.as_mut_slice()) {
            Ok(len) => len,
            // A request was taken back while it was being read.
            Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => continue,
            // Unmounted, or aborted by the administrator.
            Err(Errno::NODEV | Errno::CONNABORTED) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let reader: Reader<'_, ()> = Reader::from_fuse_buffer(FuseBuf::new(&mut request[..len]))
            .map_err(io::Error::other)?;
        let writer = FuseDevWriter::new(device.raw(), &mut reply).map_err(io::Error::other)?;
        // A reply that finds no one waiting is the reader's doing, not ours.
        if let Err(error) = server.handle_message(reader, Writer::FuseDev(writer), None, None) {
            debug!("view: a request was not answered: {error}");
        }
    }
}
