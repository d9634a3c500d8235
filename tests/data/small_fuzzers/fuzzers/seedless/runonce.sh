#!/bin/bash

# Every seed crashes.
exit 1
