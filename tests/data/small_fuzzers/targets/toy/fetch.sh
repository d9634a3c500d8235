#!/bin/bash

# Nothing: the source is src/.
