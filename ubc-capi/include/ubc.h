/* SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * User beancounters: per-container resource accounting. Link with -lubc.
 *
 * Made by cbindgen from the sources of ubc-capi; changes belong there.
 *
 * RESULTS   Functions that can fail return 0 (UBC_OK) or a positive code for
 *           success of some kind, and a negative code for a failure. A failure
 *           has changed nothing, unless the function says otherwise.
 *           ubc_message() tells in words what the last call of this thread
 *           had to say.
 * HANDLES   Whoever got one gives it back to the function named beside it,
 *           once, also when that function reports a failure. NULL is refused with
 *           UBC_INVALID, or ignored by functions that return nothing.
 * STRINGS   Given: NUL-terminated UTF-8, copied. Returned: owned by the library,
 *           valid as long as the function says.
 * THREADS   All handles may be used by several threads at once, except while
 *           they are given back. After fork() a child must not use them.
 * DURATION  Functions return without waiting, unless they say otherwise.
 */

#ifndef UBC_H
#define UBC_H

#include <stddef.h>
#include <stdint.h>

// Fail with UBC_LIMIT if something of what is asked for cannot be imposed.
#define UBC_STRICT 1

// Does without programs in the kernel: limits are those of cgroup controllers, and
// nothing is told of refusals.
#define UBC_WITHOUT_PROGRAMS 1

// Believes what the kernel's files say of controllers, rather than have a refusal of each
// provoked: for a process that lives as long as one call of a runtime.
#define UBC_WITHOUT_TESTS 2

// No limit.
#define UBC_UNLIMITED 9223372036854775807

// What became of a call.
enum ubc_result
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Done.
    UBC_OK = 0,
    // Done, and there is nothing now.
    UBC_NOTHING = 1,
    // Done, but something that was asked for is not imposed by anything here; the
    // message says what and why.
    UBC_NOT_IMPOSED = 2,
    // A value, a name or a pointer is wrong, or the thing asked for makes no sense.
    UBC_INVALID = -1,
    // There is no such container or process, or it has ended.
    UBC_NOT_FOUND = -2,
    // The id, the cgroup or the container's /proc is taken.
    UBC_IN_USE = -3,
    // This machine lacks something: cgroup v2, FUSE, programs that refuse.
    UBC_UNAVAILABLE = -4,
    // The caller is not root.
    UBC_NO_PERMISSION = -5,
    // A limit cannot be imposed here.
    UBC_LIMIT = -6,
    // The system refused something.
    UBC_SYSTEM = -7,
    // A fault of the library's own.
    UBC_INTERNAL = -8,
    // A charge was refused, as it would have passed a threshold.
    UBC_REFUSED = -9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ubc_result ubc_result;
#else
typedef int32_t ubc_result;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The rows, by OpenVZ's numbers. Amounts are in the row's unit: bytes (*size, *buf),
// pages (*pages) or a count (num*).
enum ubc_resource
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    UBC_KMEMSIZE = 0,
    UBC_LOCKEDPAGES = 1,
    UBC_PRIVVMPAGES = 2,
    UBC_SHMPAGES = 3,
    UBC_NUMPROC = 5,
    UBC_PHYSPAGES = 6,
    UBC_VMGUARPAGES = 7,
    UBC_OOMGUARPAGES = 8,
    UBC_NUMTCPSOCK = 9,
    UBC_NUMFLOCK = 10,
    UBC_NUMPTY = 11,
    UBC_NUMSIGINFO = 12,
    UBC_TCPSNDBUF = 13,
    UBC_TCPRCVBUF = 14,
    UBC_OTHERSOCKBUF = 15,
    UBC_DGRAMRCVBUF = 16,
    UBC_NUMOTHERSOCK = 17,
    UBC_DCACHESIZE = 18,
    UBC_NUMFILE = 19,
    UBC_NUMIPTENT = 23,
    UBC_SWAPPAGES = 24,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ubc_resource ubc_resource;
#else
typedef uint32_t ubc_resource;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How hard a charge insists.
enum ubc_severity
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Refused above the barrier, and above the limit.
    UBC_HARD = 0,
    // Refused above the limit.
    UBC_SOFT = 1,
    // Never refused.
    UBC_FORCE = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum ubc_severity ubc_severity;
#else
typedef uint32_t ubc_severity;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The rows of one container, charged by hand: no kernel, no cgroup, no root.
typedef struct ubc_beancounter ubc_beancounter;

// A container and the responsibility for it.
typedef struct ubc_container ubc_container;

// A machine and its containers, as far as they were made or taken over here.
typedef struct ubc_node ubc_node;

// The rows of a container at one moment.
typedef struct ubc_reading ubc_reading;

// Refusals from the moment of subscribing.
typedef struct ubc_refusals ubc_refusals;

// The limit of a row.
typedef struct ubc_limit {
    // One of enum ubc_resource.
    uint32_t resource;
    // 0 to UBC_UNLIMITED.
    uint64_t barrier;
    // 0 to UBC_UNLIMITED.
    uint64_t limit;
} ubc_limit;

// A scheduler's parameter, by name and value of `vzctl set`: "cpuunits", "1000".
typedef struct ubc_knob {
    const char *name;
    const char *value;
} ubc_knob;

// A row, in its unit.
typedef struct ubc_row {
    // In use.
    uint64_t held;
    // The highest use.
    uint64_t maxheld;
    // Where hard charges stop.
    uint64_t barrier;
    // Where soft charges stop.
    uint64_t limit;
    // Refused operations. Never falls.
    uint64_t failcnt;
    // Who counts it, or why nobody does. Valid as long as the reading.
    const char *metered_by;
    // Who refuses what goes over the limit, or why nobody does. Valid as long as the
    // reading.
    const char *enforced_by;
    // 1 if held is a number that somebody counted, else 0.
    uint8_t measured;
    // 1 if somebody refuses what goes over the limit, else 0.
    uint8_t enforced;
} ubc_row;

// An operation that a program in the kernel refused.
typedef struct ubc_refusal {
    // Seconds since 1970 in UTC.
    double time;
    // The container.
    uint32_t id;
    // One of enum ubc_resource.
    uint32_t resource;
    // In the row's unit, as the next three.
    uint64_t asked;
    uint64_t held;
    uint64_t barrier;
    uint64_t limit;
    // Refusals of this container so far that nobody was told of.
    uint64_t dropped;
    // The process that asked, on the host.
    uint32_t pid;
    // As the process calls itself, which may be anything: escape it before a terminal
    // sees it.
    char comm[48];
} ubc_refusal;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library, such as `0.1.0`; valid for ever.
const char *ubc_version(void);

// A beancounter without limits. id: 1 to 99999999. To be given back with
// ubc_beancounter_free().
ubc_result ubc_beancounter_new(uint32_t id, struct ubc_beancounter **beancounter);

// Sets limits, all or none. One below what is held refuses what comes.
ubc_result ubc_beancounter_set(const struct ubc_beancounter *beancounter,
                               const struct ubc_limit *limits,
                               size_t count);

// Charges an amount before it is granted. severity: one of enum ubc_severity.
// UBC_REFUSED: it would have passed a threshold; it is counted in failcnt.
ubc_result ubc_beancounter_charge(const struct ubc_beancounter *beancounter,
                                  uint32_t resource,
                                  uint64_t amount,
                                  uint32_t severity);

// Gives an amount back. UBC_INVALID: more than was charged; nothing is charged now.
ubc_result ubc_beancounter_uncharge(const struct ubc_beancounter *beancounter,
                                    uint32_t resource,
                                    uint64_t amount);

// Reads all rows of one moment. To be given back with ubc_reading_free().
ubc_result ubc_beancounter_read(const struct ubc_beancounter *beancounter,
                                struct ubc_reading **reading);

// Gives a beancounter back.
void ubc_beancounter_free(struct ubc_beancounter *beancounter);

// Makes a container: a cgroup of its own and a beancounter. id: 1 to 99999999. parent:
// the existing cgroup to make its own in; NULL: the node's. No process is in it:
// ubc_container_path(), ubc_container_fd() and ubc_container_add() are the ways in.
//
// To be given back with ubc_container_detach() or ubc_container_leave().
ubc_result ubc_container_create(const struct ubc_node *node,
                                uint32_t id,
                                const char *parent,
                                struct ubc_container **container);

// Takes over a container that somebody else made: counts what is in its cgroup from now
// on, what it holds already included.
//
// id: 1 to 99999999, or 0: a free one is chosen, from 10000000 up, the same for the same
// name. name: what its maker calls it, or NULL. cgroup: its path below the cgroup2 mount
// or its full path; NULL: the one pid is in. pid: its init, with which the container
// ends, or 0.
//
// To be given back with ubc_container_detach() or ubc_container_leave().
ubc_result ubc_container_adopt(const struct ubc_node *node,
                               uint32_t id,
                               const char *name,
                               const char *cgroup,
                               uint32_t pid,
                               struct ubc_container **container);

// Changes limits and schedule, all or none; a row or a knob that is not given stays as
// it is. flags: 0 or UBC_STRICT. Waits while the kernel reclaims memory for a lower
// limit of memory.
//
// UBC_NOT_IMPOSED: set, but nothing here imposes what ubc_message() names; such a limit
// is kept, and the rows do not show it.
ubc_result ubc_container_set(const struct ubc_container *container,
                             const struct ubc_limit *limits,
                             size_t limit_count,
                             const struct ubc_knob *knobs,
                             size_t knob_count,
                             uint32_t flags);

// Reads all rows of one moment. To be given back with ubc_reading_free().
ubc_result ubc_container_read(const struct ubc_container *container,
                              struct ubc_reading **reading);

// The container's id; 0 for NULL.
uint32_t ubc_container_id(const struct ubc_container *container);

// Writes the full path of the container's cgroup into a buffer of this size. A process
// that writes itself into cgroup.procs there is in the container.
ubc_result ubc_container_path(const struct ubc_container *container,
                              char *buffer,
                              size_t size);

// The directory of the container's cgroup, for clone3() with CLONE_INTO_CGROUP. It is
// the container's and valid until that is given back; -1 for NULL.
int ubc_container_fd(const struct ubc_container *container);

// Moves a process with all its threads into the container. What it has open already is
// not the container's.
ubc_result ubc_container_add(const struct ubc_container *container, uint32_t pid);

// Tells which process is the container's init: when that ends the container does.
ubc_result ubc_container_attach(const struct ubc_container *container, uint32_t pid);

// As ubc_container_attach(), and puts /proc/user_beancounters into the container's
// /proc. root: what is or will be the container's root, in its mount namespace; NULL:
// "/". proc: its procfs below that; NULL: "/proc". To be called by the runtime where an
// OCI createRuntime hook would run, or later. A thread enters the container's mount
// namespace meanwhile.
ubc_result ubc_container_attach_view(const struct ubc_container *container,
                                     uint32_t pid,
                                     const char *root,
                                     const char *proc);

// Gives a container back. One that was taken over gets back the limits and the schedule
// it came with, its view is taken away, and its processes live on. One that was made
// here is killed and its cgroup removed, which waits up to 10 s for its processes. The
// handle is gone whatever is returned.
ubc_result ubc_container_detach(struct ubc_container *container);

// Gives a container back as it is, limits in force and view served, until its init ends
// or the node is closed, and with the limits beyond that.
ubc_result ubc_container_leave(struct ubc_container *container);

// Opens the node: looks at the machine, puts the kernel's programs on duty or takes
// them over, and tests what it claims. Needs root. Takes up to some seconds, and longer
// when the programs are new to the kernel.
//
// cgroup: below which cgroup those of new containers are made, by its path below the
// cgroup2 mount; NULL: "ubc". programs_root: the directory on a bpf file system where
// programs stay; NULL: where those of the ubc daemon are too. state: the directory
// where ids that were chosen for names are kept, by one node at a time; NULL: nowhere.
// flags: 0, or of UBC_WITHOUT_PROGRAMS | UBC_WITHOUT_TESTS.
//
// To be given back with ubc_node_close().
ubc_result ubc_node_open(const char *cgroup,
                         const char *programs_root,
                         const char *state,
                         uint32_t flags,
                         struct ubc_node **node);

// Closes the node, when its last container has been given back too: those keep it open.
// Waits for its threads to end.
void ubc_node_close(struct ubc_node *node);

// One row. resource: one of enum ubc_resource.
ubc_result ubc_reading_row(const struct ubc_reading *reading,
                           uint32_t resource,
                           struct ubc_row *row);

// All rows, as /proc/user_beancounters says them; NULL for NULL. Valid as long as the
// reading.
const char *ubc_reading_text(const struct ubc_reading *reading);

// Gives a reading back.
void ubc_reading_free(struct ubc_reading *reading);

// Subscribes to refusals by the kernel's programs, of one container or, with id 0, of
// all. UBC_UNAVAILABLE where no program refuses. What cgroup controllers refuse is in
// failcnt of the next reading.
//
// To be given back with ubc_refusals_close(); it does not keep the node open.
ubc_result ubc_refusals_open(const struct ubc_node *node,
                             uint32_t id,
                             struct ubc_refusals **refusals);

// As ubc_refusals_open(), and before these come those since the node was opened, the newest
// 1024 of them. What was refused while no node listened is among them: so who listened to the
// one before, which ended, goes on and misses nothing.
ubc_result ubc_refusals_open_since_start(const struct ubc_node *node,
                                         uint32_t id,
                                         struct ubc_refusals **refusals);

// A descriptor that is readable while there is a refusal to take: for poll(), and not to
// be read or closed. -1 for NULL.
int ubc_refusals_fd(const struct ubc_refusals *refusals);

// The next refusal, or UBC_NOTHING when there is none now. Never waits. One who does not
// come for them misses what 1024 waiting ones leave no room for.
ubc_result ubc_refusals_next(const struct ubc_refusals *refusals,
                             struct ubc_refusal *refusal);

// Gives a subscription back.
void ubc_refusals_close(struct ubc_refusals *refusals);

// The number of the row with this name: "numfile".
ubc_result ubc_resource_by_name(const char *name, uint32_t *resource);

// The name of a row; NULL if none has this number. Valid for ever.
const char *ubc_resource_name(uint32_t resource);

// What the last call of this thread had to say, in one line; empty if nothing. Valid
// until the next call of this thread.
const char *ubc_message(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* UBC_H */
