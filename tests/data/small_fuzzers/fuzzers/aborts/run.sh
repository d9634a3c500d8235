#!/bin/bash

# As AFL++ with an option that its image has no support for.
echo "[-] PROGRAM ABORT : no support for ${FUZZARGS:-nothing}" >&2
exit 1
