use ubc_core::{ContainerId, Limits, PerResource};

use super::*;

const PAGE: u64 = 4096;
const HOST: HostMemory = HostMemory { ram: 8 << 30, swap: 1 << 30, page: PAGE };
const MIB: u64 = 1024;
const ANY: MemorySize = MemorySize::DEFAULT;

/// Pages of so many MiB.
const fn pages(mib: u64) -> u64 {
    mib * (1 << 20) / PAGE
}

fn unlimited() -> Reading {
    let row = Row::from_limits(Limits { barrier: UNLIMITED, limit: UNLIMITED });
    Reading { id: ContainerId::new(101).unwrap(), rows: PerResource::from_fn(|_| row) }
}

/// 30 MiB resident: 4 of kernel memory, 1 of it reclaimable, 10 anonymous,
/// 2 of shared memory; 5 swapped out.
fn busy() -> Reading {
    let mut reading = unlimited();
    for (resource, held) in [
        (Resource::PhysPages, pages(30)),
        (Resource::KmemSize, 4 << 20),
        (Resource::DcacheSize, 1 << 20),
        (Resource::OomGuarPages, pages(15)),
        (Resource::SwapPages, pages(5)),
        (Resource::ShmPages, pages(2)),
        (Resource::PrivvmPages, pages(200)),
    ] {
        reading.rows[resource].held = held;
    }
    reading
}

#[test]
fn a_container_under_vswap_has_what_its_two_limits_say() {
    let mut reading = busy();
    reading.rows[Resource::PhysPages].limit = pages(64);
    reading.rows[Resource::SwapPages].limit = pages(32);
    let expected = Memory {
        total: 64 * MIB,
        free: 34 * MIB,
        available: (34 + 14 + 1) * MIB,
        cached: 16 * MIB,
        locked: 0,
        swap_total: 32 * MIB,
        swap_free: 27 * MIB,
        anon: 10 * MIB,
        shmem: 2 * MIB,
        slab: 4 * MIB,
        reclaimable: MIB,
    };
    assert_eq!(Memory::of(&reading, ANY, HOST), expected);
    // The mode of the classic scheme says nothing there.
    assert_eq!(Memory::of(&reading, MemorySize::Pages(1), HOST), expected);
}

#[test]
fn a_container_of_the_classic_scheme_is_measured_by_address_space() {
    let mut reading = busy();
    reading.rows[Resource::PrivvmPages].barrier = pages(256);
    for (size, mib) in [
        (ANY, 256),
        (MemorySize::Privvmpages(2), 512),
        (MemorySize::Pages(pages(300)), 300),
        // Nobody has more than the machine.
        (MemorySize::Pages(u64::MAX), 8192),
        (MemorySize::Privvmpages(u64::MAX), 8192),
    ] {
        let memory = Memory::of(&reading, size, HOST);
        assert_eq!((memory.total, memory.free), (mib * MIB, (mib - 200) * MIB), "{size}");
        assert_eq!((memory.swap_total, memory.swap_free), (0, 0));
    }
}

#[test]
fn a_container_without_limits_has_the_machines_totals_and_its_own_use() {
    for threshold in [UNLIMITED, INT_MAX] {
        let mut reading = busy();
        for resource in Resource::ALL {
            let row = &mut reading.rows[resource];
            (row.barrier, row.limit) = (threshold, threshold);
        }
        let memory = Memory::of(&reading, ANY, HOST);
        assert_eq!((memory.total, memory.free), (8192 * MIB, (8192 - 30) * MIB));
        assert_eq!((memory.swap_total, memory.swap_free), (1024 * MIB, (1024 - 5) * MIB));
    }
}

#[test]
fn limits_above_the_machine_do_not_promise_what_it_has_not() {
    let mut reading = busy();
    reading.rows[Resource::PhysPages].limit = pages(100_000);
    reading.rows[Resource::SwapPages].limit = pages(100_000);
    let memory = Memory::of(&reading, ANY, HOST);
    assert_eq!((memory.total, memory.swap_total), (8192 * MIB, 1024 * MIB));
}

#[test]
fn readers_that_subtract_never_get_below_nothing() {
    // Rows of different moments and sources do not always add up.
    for held in [0, 1, pages(1), pages(64), u64::MAX / 2, u64::MAX] {
        for odd in Resource::ALL {
            for limit in [0, pages(64), UNLIMITED] {
                let mut reading = busy();
                reading.rows[odd].held = held;
                reading.rows[Resource::PhysPages].limit = limit;
                let memory = Memory::of(&reading, ANY, HOST);
                let cache = memory.cached + memory.reclaimable;
                assert!(memory.free + cache <= memory.total, "{odd}={held}: {memory:?}");
                assert!(memory.available >= memory.free, "{odd}={held}: {memory:?}");
                assert!(memory.available <= memory.total, "{odd}={held}: {memory:?}");
                assert!(memory.swap_free <= memory.swap_total, "{odd}={held}: {memory:?}");
            }
        }
    }
}

#[test]
fn the_lines_are_the_kernels_and_fit_the_announced_size() {
    let mut text = Vec::new();
    write_meminfo(&busy(), ANY, HOST, &mut text);
    let text = String::from_utf8(text).unwrap();
    assert!(text.starts_with(
        "MemTotal:        8388608 kB\nMemFree:         8357888 kB\nMemAvailable:    8373248 kB\n"
    ));
    let mut huge = Vec::new();
    let host = HostMemory { ram: u64::MAX, swap: u64::MAX, page: 65536 };
    write_meminfo(&busy(), ANY, host, &mut huge);
    assert!(huge.len() < MEMINFO_LEN);
}

#[test]
fn only_what_vzctl_takes_is_a_size() {
    for text in ["pages:1", "pages:65536", "privvmpages:1", "privvmpages:3"] {
        assert_eq!(text.parse::<MemorySize>().unwrap().to_string(), text);
        assert_eq!(MemorySize::parse(text).unwrap().unwrap().to_string(), text);
    }
    assert_eq!(MemorySize::parse("none"), Ok(None));
    for text in [
        "",
        ":",
        "pages",
        "pages:",
        "pages:0",
        "pages:-1",
        "pages:+1",
        "pages:1M",
        "pages: 1",
        "Pages:1",
        "none:1",
        "privvmpages:9223372036854775808",
        "swap:1",
        "pages:1:1",
    ] {
        let error = MemorySize::parse(text).unwrap_err().to_string();
        assert!(error.contains("accepted: none"), "{error}");
    }
}
