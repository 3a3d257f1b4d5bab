/* SPDX-License-Identifier: MIT OR Apache-2.0
 * A container gets 16 files, opens them all and one more, and is refused: by the
 * kernel where its programs can, otherwise by the engine, which counts the same. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <ubc.h>
#include <unistd.h>

#define CHECK(call) check(#call, (call))

static ubc_result check(const char *call, ubc_result result) {
    if (result < 0) {
        fprintf(stderr, "%s: %d: %s\n", call, result, ubc_message());
        exit(1);
    }
    return result;
}

static void show(const char *what, ubc_reading *reading) {
    ubc_row row;
    CHECK(ubc_reading_row(reading, UBC_NUMFILE, &row));
    printf("%s: numfile maxheld %llu limit %llu failcnt %llu (%s)\n", what,
           (unsigned long long)row.maxheld, (unsigned long long)row.limit,
           (unsigned long long)row.failcnt, row.enforced_by);
    ubc_reading_free(reading);
}

static void by_the_kernel(const ubc_limit *limit) {
    ubc_node *node;
    ubc_container *container;
    ubc_reading *reading;
    int go[2], status;
    CHECK(ubc_node_open(NULL, NULL, NULL, 0, &node));
    CHECK(ubc_container_create(node, 90001401, NULL, &container));
    if (CHECK(ubc_container_set(container, limit, 1, NULL, 0, 0)) == UBC_NOT_IMPOSED)
        printf("%s\n", ubc_message());
    if (pipe(go) != 0)
        exit(1);
    pid_t child = fork();
    if (child == 0) { /* no more than system calls until it has moved */
        char byte;
        if (read(go[0], &byte, 1) == 1)
            for (int i = 0; i < 32 && open("/dev/null", O_RDONLY) >= 0; i++)
                ;
        _exit(0);
    }
    CHECK(ubc_container_add(container, (unsigned)child));
    if (write(go[1], "!", 1) != 1 || waitpid(child, &status, 0) != child)
        exit(1);
    CHECK(ubc_container_read(container, &reading));
    show("kernel", reading);
    CHECK(ubc_container_detach(container));
    ubc_node_close(node);
}

int main(int argc, char **argv) {
    ubc_limit limit = {UBC_NUMFILE, 16, 16};
    ubc_beancounter *engine;
    ubc_reading *reading;
    (void)argv;
    CHECK(ubc_beancounter_new(1, &engine));
    CHECK(ubc_beancounter_set(engine, &limit, 1));
    CHECK(ubc_beancounter_charge(engine, UBC_NUMFILE, 16, UBC_HARD));
    if (ubc_beancounter_charge(engine, UBC_NUMFILE, 1, UBC_HARD) == UBC_REFUSED)
        printf("%s\n", ubc_message());
    CHECK(ubc_beancounter_read(engine, &reading));
    show("engine", reading);
    ubc_beancounter_free(engine);
    if (argc == 1) /* with any argument the engine is all */
        by_the_kernel(&limit);
    return 0;
}
