#!/bin/bash
set -e

# build-essential: the monitor's compiler, and dpkg-source and patch for the
# targets. daemontools: multilog.
apt-get update
apt-get install -y --no-install-recommends build-essential daemontools
apt-get clean
rm -rf /var/lib/apt/lists/*
