#!/bin/bash

echo "broken: no rule to make target 'fuzzer'" >&2
exit 3
