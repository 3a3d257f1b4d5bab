//! The shared maps, held open.

use std::path::Path;

use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::layout::{Container, Control, Counts, FAULTS};
use crate::place::Place;
use crate::queues::TABLE;
use crate::{Error, Result};

/// How large the shared maps are made; where they exist already they stay as
/// they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Containers at once; about 1 KiB of kernel memory each, at once.
    pub containers: u32,
    /// Cgroups of all containers together.
    pub cgroups: u32,
    /// Kernel objects of all containers together; 16 bytes at once, about
    /// 90 for each object while it lives.
    pub objects: u32,
    /// Bytes, for each process that adds containers, for refusals that it has not read yet;
    /// a power of two, at least a page.
    pub events: u32,
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { containers: 4096, cgroups: 65536, objects: 1 << 20, events: 1 << 17 }
    }
}

/// Memory of a machine for which one container is expected, in bytes.
const MEMORY_OF_ONE: u64 = 4 << 20;

/// No machine is expected to have more.
const MOST_CONTAINERS: u64 = 1 << 16;

impl Sizes {
    /// For this machine: the default, and more of everything where there is memory for
    /// more than its containers.
    pub fn of_machine() -> Sizes {
        let system = rustix::system::sysinfo();
        Sizes::for_memory(system.totalram.saturating_mul(system.mem_unit.into()))
    }

    fn for_memory(bytes: u64) -> Sizes {
        let least = Sizes::default();
        let fit = (bytes / MEMORY_OF_ONE).clamp(least.containers.into(), MOST_CONTAINERS);
        let times = u32::try_from(fit / u64::from(least.containers)).unwrap_or(1);
        Sizes {
            containers: least.containers * times,
            cgroups: least.cgroups * times,
            objects: least.objects * times,
            events: least.events,
        }
    }

    pub(crate) fn of(&self, map: &str) -> Option<u32> {
        match map {
            "ubc_containers" | "ubc_counts" => Some(self.containers),
            "ubc_members" => Some(self.cgroups),
            "ubc_objects" | "ubc_spaces" | "ubc_files" => Some(self.objects),
            _ => None,
        }
    }
}

/// Names of the maps that stay when programs are replaced. The last three are made
/// by the mechanisms that use them; all others are every object's.
pub(crate) const SHARED: [&str; 10] = [
    "ubc_control",
    "ubc_faults",
    "ubc_containers",
    "ubc_counts",
    "ubc_members",
    "ubc_objects",
    TABLE,
    "ubc_spaces",
    "ubc_files",
    "ubc_senders",
];

/// The shared maps.
#[derive(Debug)]
pub(crate) struct Maps {
    control: MapHandle,
    faults: MapHandle,
    containers: MapHandle,
    counts: MapHandle,
    members: MapHandle,
    objects: MapHandle,
    queues: MapHandle,
    /// Address spaces and files, if there is a mechanism for them.
    holdings: Vec<MapHandle>,
}

impl Maps {
    pub(crate) fn open(place: &Place) -> Result<Maps> {
        let open = |map: &'static str| {
            MapHandle::from_pinned_path(place.map(map)).map_err(|source| Error::Map { map, source })
        };
        Ok(Maps {
            control: open("ubc_control")?,
            faults: open("ubc_faults")?,
            containers: open("ubc_containers")?,
            counts: open("ubc_counts")?,
            members: open("ubc_members")?,
            objects: open("ubc_objects")?,
            queues: open(TABLE)?,
            holdings: ["ubc_spaces", "ubc_files"]
                .iter()
                .filter_map(|map| MapHandle::from_pinned_path(place.map(map)).ok())
                .collect(),
        })
    }

    /// How many containers there can be.
    pub(crate) fn slots(&self) -> u32 {
        self.containers.max_entries()
    }

    /// The queues that refusals are told in.
    pub(crate) fn queues(&self) -> &MapHandle {
        &self.queues
    }

    pub(crate) fn control(&self) -> Result<Control> {
        control_in(&self.control)
    }

    pub(crate) fn set_control(&self, control: &Control) -> Result<()> {
        write(&self.control, "ubc_control", &0u32.to_ne_bytes(), &control.encode())
    }

    pub(crate) fn faults(&self) -> Result<[u64; FAULTS]> {
        let mut faults = [0; FAULTS];
        for (fault, value) in batch(&self.faults, "ubc_faults")? {
            let count = <[u8; 8]>::try_from(value.as_slice()).map(u64::from_ne_bytes);
            if let (Some(slot), Ok(count)) = (faults.get_mut(fault as usize), count) {
                *slot = count;
            }
        }
        Ok(faults)
    }

    pub(crate) fn container(&self, slot: u32) -> Result<Option<Container>> {
        let value = read(&self.containers, "ubc_containers", &slot.to_ne_bytes())?;
        Ok(value.and_then(|v| Container::decode(&v)).filter(|container| container.cgroup != 0))
    }

    pub(crate) fn set_container(&self, slot: u32, container: &Container) -> Result<()> {
        write(&self.containers, "ubc_containers", &slot.to_ne_bytes(), &container.encode())
    }

    /// Every taken slot.
    pub(crate) fn containers(&self) -> Result<Vec<(u32, Container)>> {
        let all = batch(&self.containers, "ubc_containers")?;
        Ok(all
            .into_iter()
            .filter_map(|(slot, value)| Some((slot, Container::decode(&value)?)))
            .filter(|(_, container)| container.cgroup != 0)
            .collect())
    }

    pub(crate) fn counts(&self, slot: u32) -> Result<Counts> {
        let value = read(&self.counts, "ubc_counts", &slot.to_ne_bytes())?;
        Ok(value.and_then(|value| Counts::decode(&value)).unwrap_or_default())
    }

    /// The counts of every slot, in one call of the kernel.
    pub(crate) fn all_counts(&self) -> Result<Vec<(u32, Counts)>> {
        let all = batch(&self.counts, "ubc_counts")?;
        Ok(all.into_iter().filter_map(|(slot, v)| Some((slot, Counts::decode(&v)?))).collect())
    }

    /// Zeroes a slot that nobody is charged to.
    pub(crate) fn clear_counts(&self, slot: u32) -> Result<()> {
        let zero = [0; crate::layout::COUNTS_SIZE];
        write(&self.counts, "ubc_counts", &slot.to_ne_bytes(), &zero)
    }

    pub(crate) fn set_member(&self, cgroup: u64, slot: u32) -> Result<()> {
        write(&self.members, "ubc_members", &cgroup.to_ne_bytes(), &slot.to_ne_bytes())
    }

    pub(crate) fn remove_member(&self, cgroup: u64) -> Result<()> {
        match self.members.delete(&cgroup.to_ne_bytes()) {
            Err(error) if error.kind() != libbpf_rs::ErrorKind::NotFound => {
                Err(Error::Map { map: "ubc_members", source: error })
            }
            _ => Ok(()),
        }
    }

    /// The slot a cgroup belongs to.
    pub(crate) fn slot_of(&self, cgroup: u64) -> Result<Option<u32>> {
        let value = read(&self.members, "ubc_members", &cgroup.to_ne_bytes())?;
        Ok(value.and_then(|value| Some(u32::from_ne_bytes(value.try_into().ok()?))))
    }

    /// The cgroups of a slot.
    pub(crate) fn members(&self, slot: u32) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        for key in self.members.keys() {
            let value = read(&self.members, "ubc_members", &key)?;
            if value.is_some_and(|value| value == slot.to_ne_bytes())
                && let Ok(cgroup) = <[u8; 8]>::try_from(key.as_slice())
            {
                found.push(u64::from_ne_bytes(cgroup));
            }
        }
        Ok(found)
    }

    /// Objects somebody pays for.
    pub(crate) fn objects(&self) -> usize {
        let count = |map: &MapHandle| map.keys().count();
        count(&self.objects) + self.holdings.iter().map(count).sum::<usize>()
    }
}

fn read(map: &MapHandle, name: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
    map.lookup(key, MapFlags::ANY).map_err(|source| Error::Map { map: name, source })
}

fn write(map: &MapHandle, name: &'static str, key: &[u8], value: &[u8]) -> Result<()> {
    map.update(key, value, MapFlags::ANY).map_err(|source| Error::Map { map: name, source })
}

fn batch(map: &MapHandle, name: &'static str) -> Result<Vec<(u32, Vec<u8>)>> {
    let failed = |source| Error::Map { map: name, source };
    let all = map.lookup_batch(map.max_entries(), MapFlags::ANY, MapFlags::ANY).map_err(failed)?;
    Ok(all
        .filter_map(|(key, value)| Some((u32::from_ne_bytes(key.try_into().ok()?), value)))
        .collect())
}

fn control_in(map: &MapHandle) -> Result<Control> {
    let value = read(map, "ubc_control", &0u32.to_ne_bytes())?;
    Ok(value.and_then(|value| Control::decode(&value)).unwrap_or_default())
}

/// What is said of the maps that are pinned here, perhaps by a build that has fewer of them.
pub(crate) fn control(place: &Place) -> Result<Option<Control>> {
    if !pinned(place) {
        return Ok(None);
    }
    let map = MapHandle::from_pinned_path(place.map("ubc_control"))
        .map_err(|source| Error::Map { map: "ubc_control", source })?;
    control_in(&map).map(Some)
}

/// Whether a set of maps is pinned here.
pub(crate) fn pinned(place: &Place) -> bool {
    Path::exists(&place.map("ubc_control"))
}

#[cfg(test)]
mod tests;
