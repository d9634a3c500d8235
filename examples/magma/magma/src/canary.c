#include "canary.h"
#include "storage.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static struct table *table;
/* 1 until a bug is triggered: what the process does afterwards is not
 * evidence of anything, so it is not counted. */
static uint64_t sane = 1;

static bool canaries_ready(void)
{
    static bool tried;
    const char *path;

    if (table != NULL) {
        return true;
    }
    if (tried) {
        return false;
    }
    tried = true;
    path = getenv("MAGMA_STORAGE");
    table = stor_map(path != NULL ? path : MAGMA_STORAGE, false);
    if (table == NULL) {
        fputs("No canary storage: canaries are not counted.\n", stderr);
        return false;
    }
    return true;
}

/* HARDEN: a target that runs wild must not be able to write the table. */
static void protect(int access)
{
#ifdef MAGMA_HARDEN_CANARIES
    mprotect(table, sizeof(*table), access);
#else
    (void)access;
#endif
}

/* `condition` is used in arithmetic only: see canary.h on branches. */
void magma_log(const char *bug, int condition)
{
    uint64_t faulty = (uint64_t)(condition != 0);

    if (canaries_ready()) {
        struct canary *slot;

        protect(PROT_READ | PROT_WRITE);
        slot = stor_get(table, bug);
        if (slot != NULL) {
            __atomic_fetch_add(&slot->reached, sane, __ATOMIC_RELEASE);
            __atomic_fetch_add(&slot->triggered, sane & faulty,
                               __ATOMIC_RELEASE);
        }
        protect(PROT_READ);
        sane &= faulty ^ 1;
    }
#ifdef MAGMA_FATAL_CANARIES
    /* ISAN: the bug is a crash, whatever memory happens to hold. Signal 0 is
     * no signal. */
    kill(getpid(), SIGSEGV * (int)faulty);
#endif
}
