//! A sandbox in user space that charges the engine by hand: no kernel, no
//! cgroup, no root. A toy guest asks for files and memory; each request is
//! charged before it is granted, so the guest is refused exactly at its limit,
//! and its file is the one OpenVZ wrote.
//!
//! This is what a language runtime, a system call interpreter or a WebAssembly
//! host does: it knows what its guests hold, and only needs the accounting.

use std::collections::HashMap;

use ubc_core::{Beancounter, Charge, ContainerId, Limits, Registry, Resource, Severity};
use ubc_procfs::text::table;

/// What a guest asks its sandbox for.
#[derive(Clone, Copy)]
enum Call {
    Open(&'static str),
    Close(u32),
    Grow(u64),
    Fork,
}

/// ENFILE, ENOMEM and EAGAIN: what the kernel says of these.
#[derive(Debug, PartialEq, Eq)]
enum Errno {
    Badf,
    Nfile,
    Nomem,
    Again,
}

struct Guest {
    beancounter: Beancounter,
    /// Each open file with its charge: closing it gives that back.
    files: HashMap<u32, (String, Charge)>,
    memory: Charge,
    processes: Vec<Charge>,
    next: u32,
}

impl Guest {
    /// A guest is one process, and holds no memory yet.
    fn new(beancounter: &Beancounter) -> Result<Guest, Box<dyn std::error::Error>> {
        Ok(Guest {
            beancounter: beancounter.clone(),
            files: HashMap::new(),
            memory: beancounter.charge(Resource::PrivvmPages, 0, Severity::Soft)?,
            processes: vec![beancounter.charge(Resource::NumProc, 1, Severity::Hard)?],
            next: 3,
        })
    }

    fn call(&mut self, call: Call) -> Result<u32, Errno> {
        match call {
            Call::Open(name) => {
                let charge = self.beancounter.charge(Resource::NumFile, 1, Severity::Hard);
                let charge = charge.map_err(|_| Errno::Nfile)?;
                self.next += 1;
                self.files.insert(self.next, (name.to_owned(), charge));
                Ok(self.next)
            }
            Call::Close(number) => self.files.remove(&number).map(|_| 0).ok_or(Errno::Badf),
            Call::Grow(pages) => {
                self.memory.grow(pages, Severity::Soft).map_err(|_| Errno::Nomem)?;
                Ok(0)
            }
            Call::Fork => {
                let charge = self.beancounter.charge(Resource::NumProc, 1, Severity::Hard);
                self.processes.push(charge.map_err(|_| Errno::Again)?);
                Ok(0)
            }
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = Registry::new();
    let beancounter = registry.create(ContainerId::new(101)?)?;
    beancounter.set_many(&[
        (Resource::NumFile, Limits::both(2)?),
        (Resource::PrivvmPages, Limits::new(90, 100)?),
        (Resource::NumProc, Limits::both(2)?),
    ])?;
    let mut guest = Guest::new(&beancounter)?;

    let passwd = guest.call(Call::Open("/etc/passwd")).expect("the first of two files");
    guest.call(Call::Open("/etc/group")).expect("the second");
    assert_eq!(guest.call(Call::Open("/etc/shadow")), Err(Errno::Nfile));
    guest.call(Call::Close(passwd)).expect("it is open");
    guest.call(Call::Open("/etc/shadow")).expect("there is room again");
    assert_eq!(guest.call(Call::Close(passwd)), Err(Errno::Badf));

    guest.call(Call::Grow(100)).expect("up to the limit");
    assert_eq!(guest.call(Call::Grow(1)), Err(Errno::Nomem));
    guest.call(Call::Fork).expect("the second process");
    assert_eq!(guest.call(Call::Fork), Err(Errno::Again));

    let mut file = Vec::new();
    table::write_user_beancounters([&beancounter.reading()], &mut file);
    print!("{}", String::from_utf8(file)?);

    // A guest that is dropped gives everything back, whatever it held.
    drop(guest);
    assert!(beancounter.reading().rows.iter().all(|(_, row)| row.held == 0));
    Ok(())
}
