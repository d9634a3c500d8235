#!/bin/bash

# All processes but the container's first one, to which no KILL gets through.
kill -KILL -1
