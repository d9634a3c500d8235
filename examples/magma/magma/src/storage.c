#include "storage.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct table *stor_map(const char *path, bool create)
{
    struct stat st;
    void *map = MAP_FAILED;
    int fd = open(path, (create ? O_RDWR | O_CREAT : O_RDWR) | O_CLOEXEC, 0666);

    if (fd < 0) {
        return NULL;
    }
    /* Growing a file fills it with zeros: an empty table. Never shrink it. */
    if (fstat(fd, &st) == 0 &&
        (st.st_size >= (off_t)sizeof(struct table) ||
         (create && ftruncate(fd, sizeof(struct table)) == 0))) {
        map = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE,
                   MAP_SHARED, fd, 0);
    }
    close(fd);
    return map == MAP_FAILED ? NULL : map;
}

static bool slot_is(const struct canary *slot, const char *name)
{
    return strncmp(slot->name, name, MAGMA_NAME_SIZE - 1) == 0;
}

struct canary *stor_get(struct table *table, const char *name)
{
    struct canary *slot;

    for (slot = table->canaries; slot < table->canaries + MAGMA_SLOTS; ++slot) {
        uint64_t state = __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE);

        if (state == SLOT_FREE &&
            __atomic_compare_exchange_n(&slot->state, &state, SLOT_CLAIMED,
                                        false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
            strncpy(slot->name, name, MAGMA_NAME_SIZE - 1);
            __atomic_store_n(&slot->state, SLOT_READY, __ATOMIC_RELEASE);
            return slot;
        }
        if (state == SLOT_READY && slot_is(slot, name)) {
            return slot;
        }
    }
    return NULL;
}

/*
 * Two processes that meet a new bug at once may each claim a slot for it, as
 * neither waits for the other. Their counts belong together.
 */
static struct canary *find_copy(struct canary *out, size_t count,
                                const char *name)
{
    for (size_t i = 0; i < count; ++i) {
        if (slot_is(&out[i], name)) {
            return &out[i];
        }
    }
    return NULL;
}

size_t stor_snapshot(const struct table *table, struct canary *out)
{
    const struct canary *slot;
    size_t count = 0;

    for (slot = table->canaries; slot < table->canaries + MAGMA_SLOTS; ++slot) {
        struct canary *copy;

        if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != SLOT_READY) {
            continue;
        }
        copy = find_copy(out, count, slot->name);
        if (copy == NULL) {
            copy = &out[count++];
            memset(copy, 0, sizeof(*copy));
            memcpy(copy->name, slot->name, MAGMA_NAME_SIZE - 1);
            copy->state = SLOT_READY;
        }
        copy->triggered += __atomic_load_n(&slot->triggered, __ATOMIC_ACQUIRE);
        copy->reached += __atomic_load_n(&slot->reached, __ATOMIC_ACQUIRE);
    }
    return count;
}
