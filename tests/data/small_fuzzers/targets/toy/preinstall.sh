#!/bin/bash

# Nothing: the compiler is there.
