/*
 * What runs first in a program built for libFuzzer. The linker's --wrap=main
 * makes the C start-up call __wrap_main, and __real_main is the program's own
 * main, where it has one.
 *
 * Without MAGMA_TARGET_ARGS in the environment, the program runs once, as
 * itself, or LLVMFuzzerTestOneInput on the file given. Otherwise libFuzzer runs:
 * with LLVMFuzzerTestOneInput where there is one, or else with the program's
 * main, called in this process once for each input, with those arguments. @@
 * stands for a file with the input; without @@ it is on standard input.
 *
 * Between two calls of main: exit() comes back here instead of ending the
 * process, the program's variables get their first values again, files that were
 * left open are closed, getopt starts afresh. What the program does not free
 * stays, and so does the state of its shared libraries, until run.sh starts the
 * next process.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef int (*input_cb)(const uint8_t *, size_t);

int LLVMFuzzerRunDriver(int *argc, char ***argv, input_cb callback);
__attribute__((weak)) int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
__attribute__((weak)) int __real_main(int argc, char **argv, char **envp);
_Noreturn void __real_exit(int status);
_Noreturn void __wrap_exit(int status);
int __wrap_main(int argc, char **argv, char **envp);

enum { MAX_ARGS = 64, MAX_INPUT = 1 << 20 };

/* The target's variables (see sections.h). Named by the linker, where there are
 * any. */
extern char __start_target_data[] __attribute__((weak));
extern char __stop_target_data[] __attribute__((weak));
extern char __start_target_bss[] __attribute__((weak));
extern char __stop_target_bss[] __attribute__((weak));

static char *first_data;
static char *target_argv[MAX_ARGS + 1];
static int target_argc;
static int input_fd = -1;
static int reads_stdin = 1;
static jmp_buf leave;
static int in_target;

static void fail(const char *what)
{
    perror(what);
    __real_exit(1);
}

/* Replaces each @@ in a word by the input's path. */
static char *with_input(const char *word, const char *path)
{
    const char *mark = strstr(word, "@@");
    char *tail;
    char *whole = NULL;

    if (mark == NULL) {
        return strdup(word);
    }
    reads_stdin = 0;
    tail = with_input(mark + 2, path);
    if (tail == NULL ||
        asprintf(&whole, "%.*s%s%s", (int)(mark - word), word, path, tail) < 0) {
        fail("libfuzzer driver");
    }
    free(tail);
    return whole;
}

static void set_arguments(char *program, const char *args)
{
    char path[32];
    char *words = strdup(args);
    char *word;

    /* The input is a file that nothing else sees and nothing leaves behind. */
    input_fd = memfd_create("input", 0);
    if (words == NULL || input_fd < 0) {
        fail("libfuzzer driver");
    }
    snprintf(path, sizeof(path), "/dev/fd/%d", input_fd);
    target_argv[target_argc++] = program;
    for (word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        if (target_argc == MAX_ARGS) {
            fputs("libfuzzer driver: too many arguments\n", stderr);
            __real_exit(1);
        }
        target_argv[target_argc++] = with_input(word, path);
    }
    free(words);
}

static int write_input(const uint8_t *data, size_t size)
{
    if (ftruncate(input_fd, 0) != 0 ||
        pwrite(input_fd, data, size, 0) != (ssize_t)size) {
        return -1;
    }
    lseek(input_fd, 0, SEEK_SET);
    if (reads_stdin) {
        dup2(input_fd, STDIN_FILENO);
        clearerr(stdin);
        __fpurge(stdin);
    }
    return 0;
}

static void keep_variables(void)
{
    size_t size = (size_t)(__stop_target_data - __start_target_data);

    first_data = malloc(size ? size : 1);
    if (first_data == NULL) {
        fail("libfuzzer driver");
    }
    memcpy(first_data, __start_target_data, size);
}

static void restore_variables(void)
{
    memcpy(__start_target_data, first_data,
           (size_t)(__stop_target_data - __start_target_data));
    memset(__start_target_bss, 0,
           (size_t)(__stop_target_bss - __start_target_bss));
}

/*
 * A descriptor below this one stays open: libFuzzer opens its own before the
 * first input. What main leaves open gets the numbers above.
 */
static int first_free_fd(void)
{
    int fd = dup(input_fd);

    if (fd >= 0) {
        close(fd);
    }
    return fd;
}

static void close_from(int fd)
{
    /* Kernels before 5.9 do not know it. */
    if (fd >= 0 && close_range((unsigned)fd, ~0U, 0) != 0) {
        for (int last = getdtablesize(); fd < last; ++fd) {
            close(fd);
        }
    }
}

static int call_main(const uint8_t *data, size_t size)
{
    char *argv[MAX_ARGS + 1];
    int keep;

    if (write_input(data, size) != 0) {
        fail("libfuzzer driver");
    }
    restore_variables();
    keep = first_free_fd();
    /* A copy, as getopt reorders it. */
    memcpy(argv, target_argv, sizeof(argv));
    optind = 0;
    if (setjmp(leave) == 0) {
        in_target = 1;
        __real_main(target_argc, argv, environ);
    }
    in_target = 0;
    close_from(keep);
    return 0;
}

_Noreturn void __wrap_exit(int status)
{
    if (in_target) {
        longjmp(leave, 1);
    }
    __real_exit(status);
}

static int run_once(const char *path)
{
    static uint8_t data[MAX_INPUT];
    FILE *input = path != NULL ? fopen(path, "rb") : stdin;
    uint8_t *exact;
    size_t size;

    if (input == NULL) {
        fail(path);
    }
    size = fread(data, 1, sizeof(data), input);
    /* An exact buffer, so that tools see a read past its end. */
    exact = malloc(size ? size : 1);
    if (exact == NULL) {
        fail("libfuzzer driver");
    }
    memcpy(exact, data, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    return 0;
}

int __wrap_main(int argc, char **argv, char **envp)
{
    const char *args = getenv("MAGMA_TARGET_ARGS");

    if (LLVMFuzzerTestOneInput != NULL) {
        return args != NULL
                   ? LLVMFuzzerRunDriver(&argc, &argv, LLVMFuzzerTestOneInput)
                   : run_once(argv[1]);
    }
    if (__real_main == NULL) {
        fputs("libfuzzer driver: the program has neither main nor "
              "LLVMFuzzerTestOneInput\n", stderr);
        return 1;
    }
    if (args == NULL) {
        return __real_main(argc, argv, envp);
    }
    set_arguments(argv[0], args);
    keep_variables();
    return LLVMFuzzerRunDriver(&argc, &argv, call_main);
}
