"""Tells how the campaign stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.magma_cli import EXECUTABLE, SETTINGS, ask, run_module
from ansible.module_utils.magma_remote.model.progress_line import progress_line, time_left

DOCUMENTATION = r"""
module: magma_queue_info
short_description: Tells how the campaign stands
description:
  - Reads the ledger of the campaign that a dispatcher's settings name, on the dispatcher's host.
  - Times are in seconds since the epoch, durations in seconds.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma, magma.reads]
options:
  settings:
    description: The dispatcher's settings. Where there are none, nothing was dispatched yet.
    type: path
    default: /etc/magma-remote/dispatcher.hjson
"""

EXAMPLES = r"""
- name: The campaign's state is read
  magma_queue_info:
  register: now

- name: What is left is told
  ansible.builtin.debug:
    msg: "{{ now.counts.done }} of {{ now.total }} trials are complete"
  when: now.campaign is not none
"""

RETURN = r"""
campaign:
  description: The campaign with its C(config_id), C(source), C(state) and times; null where nothing was dispatched yet.
  returned: success
  type: dict
  contains:
    config_id:
      description: Its id.
      type: str
    source:
      description: Its file.
      type: str
    state:
      description: V(open), V(cancelled) or V(ended).
      type: str
    since:
      description: When it began.
      type: float
    ended_at:
      description: When it ended; null until then.
      type: float
    timeout:
      description: How long a trial fuzzes.
      type: float
    max_attempts:
      description: How often a trial is tried in all.
      type: int
active:
  description: Whether there is a campaign, and it has not ended.
  returned: success
  type: bool
dispatcher_runs:
  description: Whether its dispatcher runs now.
  returned: if there is a campaign
  type: bool
total:
  description: How many jobs it has.
  returned: if there is a campaign
  type: int
counts:
  description: How many of them are V(waiting), V(queued), V(running), V(fetched), V(done) and V(dead).
  returned: if there is a campaign
  type: dict
unfetched:
  description: How many results are complete and still on their workers.
  returned: if there is a campaign
  type: int
progress:
  description: How far it is, in a line.
  returned: if there is a campaign
  type: str
  sample: "12 of 16 trials complete, 3 running, 1 to come; worker2: lost"
left:
  description: How long it lasts, in words; empty where it has ended.
  returned: if there is a campaign
  type: str
  sample: about 3 min left
eta:
  description: Seconds until the last trial has run; null where nobody can tell.
  returned: if there is a campaign
  type: float
problems:
  description: What needs a person, each with C(key), C(text) and C(at).
  returned: if there is a campaign
  type: list
  elements: dict
workers:
  description: Each worker with its C(name), C(state), C(lost), C(cpu_sets) and more.
  returned: if there is a campaign
  type: list
  elements: dict
running:
  description: Trials that run now.
  returned: if there is a campaign
  type: list
  elements: dict
pairs:
  description: Each fuzzer and target with its C(counts) and the bugs that were C(reached) and C(triggered).
  returned: if there is a campaign
  type: list
  elements: dict
dead:
  description: Trials that were given up, each with its C(job), C(reason) and C(message).
  returned: if there is a campaign
  type: list
  elements: dict
"""

ARGUMENTS = {**SETTINGS, **EXECUTABLE}
NOTHING_YET = 2  # the exit code where nothing was dispatched


def work(module: Any) -> dict[str, Any]:
    """What `status --json` says; its warnings are no warnings of Ansible."""
    if not Path(module.params["settings"]).exists():
        return {"changed": False, "active": False, "campaign": None}
    found = ask(module, "status", "--json", "--settings", module.params["settings"], accepted=(0, NOTHING_YET))
    campaign = found["campaign"]
    if campaign is None:
        return {"changed": False, "active": False, "campaign": None}
    return {
        "changed": False,
        "active": campaign["ended_at"] is None,
        "progress": progress_line(found),
        "left": time_left(found),
        "problems": found.pop("warnings"),
        **found,
    }


def main() -> None:
    """Run as a module."""
    run_module(work, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
