/*
 * The canaries' interface. The build includes it ahead of every source file of
 * a target, C or C++.
 */
#ifndef MAGMA_CANARY_H
#define MAGMA_CANARY_H

#ifdef __cplusplus
extern "C" {
#endif

void magma_log(const char *bug, int condition);

/*
 * && and || are branches, which coverage feedback would see: a fuzzer would be
 * led to the bug by its own canary. These evaluate both sides and do not branch.
 */
static inline int magma_and(int a, int b)
{
    return (a != 0) & (b != 0);
}

static inline int magma_or(int a, int b)
{
    return (a != 0) | (b != 0);
}

#ifdef __cplusplus
}
#endif

/* A bug is reached where this line runs, triggered where the condition holds. */
#define MAGMA_LOG(bug, condition)              \
    do {                                       \
        magma_log((bug), (int)!!(condition)); \
    } while (0)
/* The same, usable inside an expression. */
#define MAGMA_LOG_V(bug, condition) (magma_log((bug), (int)!!(condition)))
#define MAGMA_AND(a, b) magma_and(!!(a), !!(b))
#define MAGMA_OR(a, b) magma_or(!!(a), !!(b))

#endif
