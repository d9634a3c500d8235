/*
 * monitor [--dump raw|row|human] [--fetch file|watch] [FILE | COMMAND...]
 *
 * Reads the canaries of a running campaign (file), or runs a command with a
 * table of its own and reads that (watch). The exit status of `watch` is the
 * command's, or 128 + N where signal N ended it.
 */
#include "storage.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static const char USAGE[] =
    "monitor [--dump raw|row|human] [--fetch file|watch] [FILE | COMMAND...]\n"
    "\n"
    "  --dump raw    the bytes of each canary: name, reached, triggered\n"
    "  --dump row    a CSV header and one row, BUG_R and BUG_T for each bug\n"
    "  --dump human  one line for each bug\n"
    "  --fetch file  read FILE, or the campaign's storage\n"
    "  --fetch watch run COMMAND and read what it reached\n";

enum { EXIT_STORAGE = 1, EXIT_USAGE = 2, EXIT_WATCH = 3 };

static void dump_raw(const struct canary *canaries, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        fwrite(canaries[i].name, MAGMA_NAME_SIZE, 1, stdout);
        fwrite(&canaries[i].reached, sizeof(uint64_t), 1, stdout);
        fwrite(&canaries[i].triggered, sizeof(uint64_t), 1, stdout);
    }
}

/* Nothing at all while no bug was reached: a header without names is no CSV. */
static void dump_row(const struct canary *canaries, size_t count)
{
    if (count == 0) {
        return;
    }
    for (size_t i = 0; i < count; ++i) {
        printf("%s%s_R,%s_T", i ? "," : "", canaries[i].name, canaries[i].name);
    }
    putchar('\n');
    for (size_t i = 0; i < count; ++i) {
        printf("%s%" PRIu64 ",%" PRIu64, i ? "," : "", canaries[i].reached,
               canaries[i].triggered);
    }
    putchar('\n');
}

static void dump_human(const struct canary *canaries, size_t count)
{
    for (size_t i = 0; i < count; ++i) {
        printf("%s reached %" PRIu64 " triggered %" PRIu64 "\n",
               canaries[i].name, canaries[i].reached, canaries[i].triggered);
    }
}

static const struct {
    const char *name;
    void (*dump)(const struct canary *, size_t);
} DUMPS[] = {{"raw", dump_raw}, {"row", dump_row}, {"human", dump_human}};

static int fetch_file(const char *path, struct canary *out, size_t *count)
{
    struct table *table = stor_map(path, true);

    if (table == NULL) {
        fprintf(stderr, "monitor: %s: %s\n", path, strerror(errno));
        return EXIT_STORAGE;
    }
    *count = stor_snapshot(table, out);
    return 0;
}

static void run_command(const char *storage, char **command)
{
    int null = open("/dev/null", O_WRONLY);

    if (null >= 0) {
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    }
    setenv("MAGMA_STORAGE", storage, 1);
    execvp(command[0], command);
    _exit(127);
}

static int watch(const char *storage, char **command, struct canary *out,
                 size_t *count)
{
    int status;
    pid_t child;
    struct table *table = stor_map(storage, true);

    if (table == NULL) {
        fprintf(stderr, "monitor: %s: %s\n", storage, strerror(errno));
        return EXIT_WATCH;
    }
    child = fork();
    if (child == 0) {
        run_command(storage, command);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("monitor");
        return EXIT_WATCH;
    }
    *count = stor_snapshot(table, out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int fetch_watch(char **command, struct canary *out, size_t *count)
{
    char storage[PATH_MAX];
    char cwd[PATH_MAX - 32];
    int fd;
    int code;

    /* An absolute path, as the command may change its directory. */
    if (getcwd(cwd, sizeof(cwd)) == NULL) {
        perror("monitor");
        return EXIT_WATCH;
    }
    snprintf(storage, sizeof(storage), "%s/monitor_XXXXXX", cwd);
    fd = mkstemp(storage);
    if (fd < 0) {
        fprintf(stderr, "monitor: %s: %s\n", storage, strerror(errno));
        return EXIT_WATCH;
    }
    close(fd);
    code = watch(storage, command, out, count);
    unlink(storage);
    return code;
}

static int usage_error(const char *what, const char *value)
{
    fprintf(stderr, "monitor: %s: %s\n%s", what, value, USAGE);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"dump", required_argument, NULL, 'd'},
        {"fetch", required_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}};
    static struct canary canaries[MAGMA_SLOTS];
    const char *format = "raw";
    const char *fetch = "file";
    size_t count = 0;
    size_t d;
    int option;
    int code;

    /* '+': a command's own options are not ours. */
    while ((option = getopt_long(argc, argv, "+", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 'd': format = optarg; break;
        case 'f': fetch = optarg; break;
        case 'h': fputs(USAGE, stdout); return 0;
        default: return EXIT_USAGE;
        }
    }
    for (d = 0; d < sizeof(DUMPS) / sizeof(*DUMPS); ++d) {
        if (strcmp(format, DUMPS[d].name) == 0) {
            break;
        }
    }
    if (d == sizeof(DUMPS) / sizeof(*DUMPS)) {
        return usage_error("no such dump format", format);
    }
    if (strcmp(fetch, "watch") == 0) {
        if (optind == argc) {
            return usage_error("--fetch watch", "no command");
        }
        code = fetch_watch(argv + optind, canaries, &count);
    } else if (strcmp(fetch, "file") == 0) {
        code = fetch_file(optind < argc ? argv[optind] : MAGMA_STORAGE,
                          canaries, &count);
    } else {
        return usage_error("no such way to fetch", fetch);
    }
    DUMPS[d].dump(canaries, count);
    return code;
}
