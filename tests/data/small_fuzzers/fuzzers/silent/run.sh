#!/bin/bash

# Never runs the program: reaches no canary.
exec sleep 600
