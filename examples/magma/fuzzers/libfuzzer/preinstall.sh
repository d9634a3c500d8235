#!/bin/bash
set -e

# libclang-rt: libFuzzer itself, which is no longer part of clang's packages.
apt-get update
apt-get install -y --no-install-recommends clang libclang-rt-14-dev
apt-get clean
rm -rf /var/lib/apt/lists/*
