#!/bin/bash

##
# runonce.sh FILE: fails where the program crashes on FILE or takes too long.
# Needs env OUT, PROGRAM; + env ARGS.
##

# ARGS is a list of words.
# shellcheck disable=SC2206
args=(${ARGS:-@@})
timeout -s KILL --preserve-status 2s "$OUT/$PROGRAM" "${args[@]//@@/$1}" < "$1"
test $? -lt 128
