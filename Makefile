# Each target calls one thing. `make` alone lists them.
PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help setup controller demo lab lab-down check test bench

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /make \1\t/p' Makefile

setup:  ## .venv from the pins; Docker Engine, base image and core_pattern where they are missing
	@$(PYTHON) -m scripts.setup

controller:  ## .venv alone, with Ansible, its collection and this program: for a machine that only sets up others
	@$(PYTHON) -m scripts.setup --controller

demo: setup  ## the three commands on this machine: deploy, a real campaign, collect, and a table of its bugs
	@scripts/demo

lab: setup  ## a dispatcher and two workers as systemd hosts on this machine, with an inventory of their own
	@$(PYTHON) -m scripts.lab up

lab-down:  ## remove the lab's hosts
	@$(PYTHON) -m scripts.lab down

check: setup  ## ruff, mypy, yamllint, ansible-lint, the syntax of playbooks, unit and integration tests
	@scripts/check tests/unit tests/integration

test: setup  ## everything: check and the acceptance tests
	@scripts/check tests

bench: setup  ## overhead of quickrun over the ideal; campaigns of 1,000 to 20,000 jobs beside the queue alone; two workers against one; summary of 2,000 tarballs beside `tar -tf`; the report of as many trials
	@.venv/bin/python tests/bench/quickrun.py
	@.venv/bin/python -m tests.bench.campaign
	@.venv/bin/python -m tests.bench.workers
	@.venv/bin/python -m tests.bench.summary
	@.venv/bin/python -m tests.bench.report
