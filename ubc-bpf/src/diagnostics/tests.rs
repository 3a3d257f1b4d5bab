use super::reason;

#[test]
fn the_verifiers_verdict_is_found_in_its_log() {
    let said = "libbpf: prog 'ubc_file_alloc': BPF program load failed: -EACCES\n\
                libbpf: prog 'ubc_file_alloc': -- BEGIN PROG LOAD LOG --\n\
                0: R1=ctx() R10=fp0\n\
                1: (79) r1 = *(u64 *)(r1 +999)\n\
                invalid bpf_context access off=999 size=8\n\
                processed 2 insns (limit 1000000) max_states_per_insn 0\n\
                -- END PROG LOAD LOG --\n\
                libbpf: failed to load object 'numfile'\n";
    assert_eq!(
        reason(said, "EACCES"),
        "prog 'ubc_file_alloc': BPF program load failed: -EACCES: \
         invalid bpf_context access off=999 size=8"
    );
}

#[test]
fn a_loader_that_says_nothing_leaves_the_errno() {
    assert_eq!(
        reason("", "Operation not permitted (os error 1)"),
        "Operation not permitted (os error 1)"
    );
}
