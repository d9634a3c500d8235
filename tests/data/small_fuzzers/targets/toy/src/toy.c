/*
 * toy [--digits] FILE: each letter may be TOY001, each digit TOY002, and an X
 * is a crash that no canary knows of.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[argc - 1], "rb") : NULL;
    int c;

    if (file == NULL) {
        return 2;
    }
    while ((c = fgetc(file)) != EOF) {
        if (isalpha(c)) {
            MAGMA_LOG("TOY001", c == 'A');
        }
        if (isdigit(c)) {
            MAGMA_LOG("TOY002", c == '9');
        }
        if (c == 'X') {
            abort();
        }
    }
    return fclose(file);
}
