#!/bin/bash

# The fuzzer is a Debian package: preinstall.sh installed it.
