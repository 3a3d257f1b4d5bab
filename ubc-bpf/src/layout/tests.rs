use super::*;

#[test]
fn a_container_survives_the_way_into_the_kernel_and_back() {
    let mut limits = PerResource::from_fn(|_| Limits::UNLIMITED);
    limits[Resource::NumFile] = Limits { barrier: 7, limit: 9 };
    limits[Resource::NumIptEnt] = Limits { barrier: 0, limit: 1 };
    let container = Container {
        cgroup: 77,
        ctid: 101,
        parent: NOBODY,
        leaving: true,
        arriving: false,
        recorded: 0,
        limits,
        kernel_memory: None,
        queue: None,
    };
    for kernel_memory in [None, Some(0), Some(-4096), Some(1 << 40)] {
        let (arriving, recorded) = (kernel_memory == Some(0), 1 << 24 | 1);
        let queue = kernel_memory.is_some().then_some(u32::from(arriving));
        let container = Container { arriving, recorded, kernel_memory, queue, ..container.clone() };
        assert_eq!(Container::decode(&container.encode()), Some(container));
    }
}

#[test]
fn a_value_of_another_size_is_none() {
    assert_eq!(Container::decode(&[0; CONTAINER_SIZE - 1]), None);
    assert_eq!(Counts::decode(&[0; COUNTS_SIZE + 1]), None);
    assert_eq!(Control::decode(&[]), None);
    assert_eq!(RawEvent::decode(&[0; 8]), None);
}

#[test]
fn a_count_below_zero_for_a_moment_reads_as_zero() {
    let mut value = vec![0; COUNTS_SIZE];
    let at = Resource::NumFile as usize * 24;
    value[at..at + 8].copy_from_slice(&(-1i64).to_ne_bytes());
    let counts = Counts::decode(&value).expect("the size is right");
    assert_eq!(counts.rows[Resource::NumFile].held, 0);
}

#[test]
fn a_bound_beyond_what_the_kernel_counts_is_none() {
    assert_eq!(to_signed(u64::MAX), i64::MAX);
    assert_eq!(from_signed(i64::MAX), UNLIMITED);
}
