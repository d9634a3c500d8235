#!/bin/bash
set -e

apt-get update
apt-get install -y --no-install-recommends afl++
apt-get clean
rm -rf /var/lib/apt/lists/*
