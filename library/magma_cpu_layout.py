"""Lays out a worker's CPUs for a campaign."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ansible.module_utils.magma_cli import CommandError, run_module
from ansible.module_utils.magma_remote.model.cpu_request import CpuRequest, lay_out, layout_text, too_wide
from ansible.module_utils.magma_remote.model.lscpu import parse_lscpu

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENTATION = r"""
module: magma_cpu_layout
short_description: Tells which CPU sets a worker would pin a campaign's trials to
description:
  - Reads this host's CPUs with C(lscpu), and its affinity mask, and shares them out as the worker itself would do it.
  - Needs Python and C(lscpu) of util-linux on the host, and nothing of magma-remote.
  - Fails with the reason where the host cannot give what the campaign asks for.
  - Nothing is claimed or changed.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma.reads]
options:
  cpus:
    description: What the campaign asks for, as C(magma_campaign) returns it in RV(magma_campaign#module:campaign.cpus).
    type: dict
    required: true
    suboptions:
      worker_mode:
        description: What is never split between trials.
        type: str
        choices: [logical, physical, socket]
        default: logical
      workers:
        description: Least number of logical CPUs to use; all where left out.
        type: int
      worker_pool:
        description: The logical CPUs to use, in logical mode.
        type: list
        elements: int
      campaign_workers:
        description: Least number of logical CPUs of one trial.
        type: int
        default: 1
      fuzzer_campaign_workers:
        description: The same for the trials of some fuzzers.
        type: dict
        default: {}
      fuzzers:
        description: The campaign's fuzzers.
        type: list
        elements: str
        default: []
  housekeeping_cpus:
    description: Logical CPUs that are kept for the worker's own work, C(HOUSEKEEPING_CPUS) of its settings.
    type: list
    elements: int
    default: []
"""

EXAMPLES = r"""
- name: The worker's CPUs suffice
  magma_cpu_layout:
    cpus: "{{ checked.campaign.cpus }}"
    housekeeping_cpus: [0]
  register: layout

- name: The sets are told
  ansible.builtin.debug:
    msg: "{{ layout.text }}"
"""

RETURN = r"""
topology:
  description: The online logical CPUs, each with its C(number), C(core) and C(socket).
  returned: success
  type: list
  elements: dict
sets:
  description: The CPU sets that trials are pinned to, in ascending order of their lowest CPU.
  returned: success
  type: list
  elements: list
  sample: [[0, 1], [2, 3]]
mode:
  description: What is never split; a pool makes it V(logical).
  returned: success
  type: str
idle:
  description: CPUs that no trial gets, by the reason.
  returned: success
  type: dict
  contains:
    left_over:
      description: They are too few for one more set.
      type: list
      elements: int
    spare:
      description: C(WORKERS) or C(WORKER_POOL) leaves them alone.
      type: list
      elements: int
    outside:
      description: The affinity mask forbids them, or housekeeping has them.
      type: list
      elements: int
cannot:
  description: Fuzzers whose trials find too few CPUs here, with the reason; this worker takes none of their jobs.
  returned: success
  type: dict
text:
  description: All of it in a sentence.
  returned: success
  type: str
  sample: "2 CPU sets: 0-1 2-3; idle: 4 (too few for one more set)"
"""

CPUS = {
    "worker_mode": {"type": "str", "choices": ["logical", "physical", "socket"], "default": "logical"},
    "workers": {"type": "int"},
    "worker_pool": {"type": "list", "elements": "int"},
    "campaign_workers": {"type": "int", "default": 1},
    "fuzzer_campaign_workers": {"type": "dict", "default": {}},
    "fuzzers": {"type": "list", "elements": "str", "default": []},
}
ARGUMENTS = {
    "cpus": {"type": "dict", "required": True, "options": CPUS},
    "housekeeping_cpus": {"type": "list", "elements": "int", "default": []},
}


def work(module: Any) -> dict[str, Any]:
    """The layout that the worker would choose."""
    request = CpuRequest.from_members(module.params["cpus"])
    housekeeping: Sequence[int] = sorted(module.params["housekeeping_cpus"])
    cpus = parse_lscpu(_lscpu(module))
    layout = lay_out(request, cpus, frozenset(os.sched_getaffinity(0)), housekeeping)
    return {
        "changed": False,
        "topology": [asdict(cpu) for cpu in cpus],
        "sets": [list(one) for one in layout.sets],
        "mode": layout.mode.value,
        "idle": {"left_over": layout.left_over, "spare": layout.spare, "outside": layout.outside},
        "cannot": too_wide(request, layout),
        "text": layout_text(layout, housekeeping),
    }


def _lscpu(module: Any) -> str:
    path = module.get_bin_path("lscpu")
    if path is None:
        raise CommandError(
            "lscpu is not installed, and tells which CPUs this machine has: `apt-get install util-linux`"
        )
    code, out, err = module.run_command([path, "-bp"], environ_update={"LC_ALL": "C"})
    if code:
        raise CommandError(f"lscpu -bp ended with exit code {code}: {err.strip() or 'it said nothing'}")
    return str(out)


def main() -> None:
    """Run as a module."""
    run_module(work, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
