#!/bin/bash

find "$SHARED/findings" -type f
