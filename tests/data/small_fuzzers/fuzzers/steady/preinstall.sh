#!/bin/bash

# Nothing: the fuzzer is its run.sh.
