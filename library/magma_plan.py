"""Plans a campaign on its workers."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.magma_cli import run_module
from ansible.module_utils.magma_remote.model.cpu_request import CpuRequest
from ansible.module_utils.magma_remote.model.eta import Slots
from ansible.module_utils.magma_remote.model.plan import plan

DOCUMENTATION = r"""
module: magma_plan
short_description: Tells how long a campaign lasts on its workers
description:
  - Puts together what C(magma_cpu_layout) says of each worker, and tells how long all trials take there.
  - Fails where no worker has enough CPUs for the trials of a fuzzer.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma.reads]
options:
  campaign:
    description: The campaign, as C(magma_campaign) returns it. Its C(trials), C(timeout) and C(cpus) count.
    type: dict
    required: true
  workers:
    description: Each worker's name with its CPU sets, as C(magma_cpu_layout) returns them in C(sets).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: The campaign's length is known
  magma_plan:
    campaign: "{{ checked.campaign }}"
    workers:
      worker1: [[0], [1]]
      worker2: [[0, 1]]
  delegate_to: localhost
  register: planned
"""

RETURN = r"""
seconds:
  description: How long all trials take, without what comes before and after fuzzing.
  returned: success
  type: float
text:
  description: All of it in a sentence.
  returned: success
  type: str
  sample: "16 trials of 1 h on 8 CPU sets of 2 workers: about 2 h, and what archiving takes"
"""

ARGUMENTS = {"campaign": {"type": "dict", "required": True}, "workers": {"type": "dict", "required": True}}


def work(module: Any) -> dict[str, Any]:
    """What the model makes of it."""
    campaign = module.params["campaign"]
    workers = {
        name: Slots(sets=tuple(tuple(map(int, one)) for one in sets)) for name, sets in module.params["workers"].items()
    }
    demands = CpuRequest.from_members(campaign["cpus"]).demands
    planned = plan(campaign["trials"], float(campaign["timeout"]), demands, workers)
    return {"changed": False, "seconds": planned.seconds, "text": str(planned)}


def main() -> None:
    """Run as a module."""
    run_module(work, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
