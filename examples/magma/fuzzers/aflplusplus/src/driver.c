/*
 * main() for programs that offer LLVMFuzzerTestOneInput: runs it once, on the
 * file given or on standard input. A program's own main() takes precedence.
 *
 * AFL++ has such a driver, but it keeps the process for many inputs. A canary
 * counts until the first bug is triggered in a process, so here each input gets
 * a process of its own (forked by AFL++ at the start of main).
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((weak)) int LLVMFuzzerTestOneInput(const uint8_t *, size_t);
__attribute__((weak)) int LLVMFuzzerInitialize(int *, char ***);

enum { MAX_INPUT = 1 << 20 };

__attribute__((weak)) int main(int argc, char **argv)
{
    FILE *input = stdin;
    uint8_t *data;
    size_t size;

    if (LLVMFuzzerTestOneInput == NULL) {
        return 0;
    }
    if (LLVMFuzzerInitialize != NULL) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    if (argc > 1 && (input = fopen(argv[1], "rb")) == NULL) {
        perror(argv[1]);
        return 1;
    }
    data = malloc(MAX_INPUT);
    if (data == NULL) {
        return 1;
    }
    size = fread(data, 1, MAX_INPUT, input);
    /* An exact buffer, so that tools see a read past its end. */
    data = realloc(data, size ? size : 1);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}
