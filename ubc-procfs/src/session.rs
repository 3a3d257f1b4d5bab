//! Serving a view over a FUSE device.

mod device;
mod trouble;

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::thread::JoinHandle;

use fuse_backend_rs::api::filesystem::FileSystem;
use fuse_backend_rs::api::server::Server;
use fuse_backend_rs::transport::{FuseBuf, FuseDevWriter, Reader, Writer};
use log::debug;
use rustix::io::Errno;

pub use device::Device;
use trouble::Trouble;

/// Room for one request. The kernel asks for 8 KiB or one write of 4 KiB with
/// its headers, whichever is more (`fuse_dev_do_read`); longer requests it
/// refuses on its own.
const REQUEST: usize = 16 * 1024;

/// What a successor knows the descriptors of a device by: the device itself,
/// and the two ends of its pipe, if it has one.
pub(crate) const DEVICE: &str = "d";
pub(crate) const PIPE_OUT: &str = "o";
pub(crate) const PIPE_INTO: &str = "i";

/// Room for one reply: 32 pages, the most the kernel asks for of a server that
/// did not negotiate more, and the header.
const REPLY: usize = 32 * 4096 + 4096;

/// Enough for the deepest call below, and little to reserve for each view.
const STACK: usize = 256 * 1024;

/// A view that is being served.
#[derive(Debug)]
pub(crate) struct Session {
    thread: JoinHandle<()>,
    device: Arc<Device>,
}

impl Session {
    /// Whether the last mount of the view is gone.
    pub(crate) fn is_over(&self) -> bool {
        self.thread.is_finished() || self.device.is_cut()
    }

    /// What a successor needs to go on, by short names.
    pub(crate) fn parts(&self) -> Vec<(&'static str, BorrowedFd<'_>)> {
        self.device.parts()
    }
}

/// Serves the view on a thread of its own until the last mount of it is gone.
/// The superblock of the device has been made, and has not been served yet.
///
/// # Errors
///
/// The connection cannot be begun, or the thread cannot be started.
pub(crate) fn spawn(
    view: impl FileSystem<Inode = u64, Handle = u64> + Send + Sync + 'static,
    mut device: Device,
    name: &str,
) -> io::Result<Session> {
    let mut buffers = Buffers::new();
    let server = Server::new(view);
    let len = device.first(&mut buffers.request)?;
    answer(&server, &device, &mut buffers, len);
    run(server, device, buffers, name, false)
}

/// Goes on where another process stopped: first with what it took and did not
/// answer.
///
/// # Errors
///
/// The thread cannot be started, or the kernel does not hand out again what
/// was taken.
pub(crate) fn resume(
    view: impl FileSystem<Inode = u64, Handle = u64> + Send + Sync + 'static,
    device: Device,
    name: &str,
) -> io::Result<Session> {
    device.resend()?;
    run(Server::new(view), device, Buffers::new(), name, true)
}

/// One request and one reply.
struct Buffers {
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl Buffers {
    fn new() -> Buffers {
        Buffers { request: vec![0; REQUEST], reply: vec![0; REPLY] }
    }
}

fn run(
    server: Server<impl FileSystem<Inode = u64, Handle = u64> + Send + Sync + 'static>,
    device: Device,
    mut buffers: Buffers,
    name: &str,
    resumed: bool,
) -> io::Result<Session> {
    let device = Arc::new(device);
    let own = Arc::clone(&device);
    let thread = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK);
    let thread = thread.spawn(move || serve(&server, &own, &mut buffers, resumed))?;
    Ok(Session { thread, device })
}

/// Serves until the end of the connection; `taken` when there may be a request that was taken
/// and not answered.
fn serve(
    server: &Server<impl FileSystem + Sync>,
    device: &Device,
    buffers: &mut Buffers,
    mut taken: bool,
) {
    let mut trouble = Trouble::default();
    loop {
        let next = if taken {
            device.taken_or_next(&mut buffers.request)
        } else {
            device.next(&mut buffers.request)
        };
        let len = match next {
            Ok(len) => len,
            // A request was taken back while it was being read.
            Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => continue,
            // Unmounted, or aborted by the administrator.
            Err(Errno::NODEV | Errno::CONNABORTED) => return,
            Err(error) => {
                trouble.met(&error);
                taken = true;
                continue;
            }
        };
        taken = false;
        trouble.over();
        answer(server, device, buffers, len);
        while let Err(error) = device.done() {
            trouble.met(&error);
        }
    }
}

/// Answers, and if only that it could not be done.
fn answer(
    server: &Server<impl FileSystem + Sync>,
    device: &Device,
    Buffers { request, reply }: &mut Buffers,
    len: usize,
) {
    if let Err(error) = handle(server, device, &mut request[..len], reply) {
        debug!("view: a request was not answered: {error}");
        device.refuse(&request[..len]);
    }
}

fn handle(
    server: &Server<impl FileSystem + Sync>,
    device: &Device,
    request: &mut [u8],
    reply: &mut [u8],
) -> io::Result<()> {
    let reader: Reader<'_, ()> =
        Reader::from_fuse_buffer(FuseBuf::new(request)).map_err(io::Error::other)?;
    let writer = FuseDevWriter::new(device.raw(), reply).map_err(io::Error::other)?;
    let done = server.handle_message(reader, Writer::FuseDev(writer), None, None);
    done.map(drop).map_err(io::Error::other)
}
