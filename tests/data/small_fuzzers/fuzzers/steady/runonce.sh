#!/bin/bash

##
# runonce.sh FILE: fails where the program crashes on FILE.
##

# ARGS is a list of words.
# shellcheck disable=SC2206
args=(${ARGS:-@@})
"$OUT/$PROGRAM" "${args[@]//@@/$1}"
test $? -lt 128
