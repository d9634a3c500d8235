/* The tools' portability layer: this system has a getopt of its own. */
#include <unistd.h>
