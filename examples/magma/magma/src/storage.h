/*
 * The table of canaries: one file, mapped by every process of the target and
 * by the monitor.
 *
 * There is no lock, as a fuzzer kills the target at any point and a lock would
 * die with it. Instead each slot goes one way only, FREE -> CLAIMED -> READY,
 * and its counters only grow:
 *  - a producer claims a slot with a compare-and-swap, writes the name, and
 *    publishes it as READY; a slot whose owner was killed in between stays
 *    CLAIMED, and everyone passes over it;
 *  - a producer counts `reached` before `triggered`, with atomic additions, so
 *    that no count of a concurrent process is lost;
 *  - the consumer copies READY slots only, `triggered` before `reached`.
 * So a reader never sees half a name, half a counter, or a bug that was
 * triggered more often than it was reached.
 */
#ifndef MAGMA_STORAGE_H
#define MAGMA_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAGMA_NAME_SIZE 16 /* with the NUL */
#define MAGMA_SLOTS 127

enum { SLOT_FREE = 0, SLOT_CLAIMED, SLOT_READY };

struct canary {
    uint64_t state;
    uint64_t reached;
    uint64_t triggered;
    char name[MAGMA_NAME_SIZE];
    uint64_t unused[3];
};

struct table {
    struct canary canaries[MAGMA_SLOTS];
};

/* Maps the table; creates the file, all zero, if asked to. NULL with errno. */
struct table *stor_map(const char *path, bool create);
/* The slot of that name, claimed if need be. NULL where the table is full. */
struct canary *stor_get(struct table *table, const char *name);
/* Copies the slots in use to `out`, which has room for MAGMA_SLOTS. */
size_t stor_snapshot(const struct table *table, struct canary *out);

#endif
