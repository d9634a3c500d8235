"""Collects a campaign's results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible.module_utils.magma_cli import EXECUTABLE, SETTINGS, ask, run_module
from ansible.module_utils.magma_remote.model.completeness import table

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTATION = r"""
module: magma_merge
short_description: Fetches, verifies and merges results that are left on workers
description:
  - Has C(magma-remote collect), on the dispatcher's host, look at the workers for complete results that WORKDIR does
    not have yet, those whose feedback never came too, fetch and verify them, and merge them.
  - Warns where a worker is not reached, and where a trial is missing though the campaign has ended.
  - Serves before a campaign's end as well, any number of times.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma, magma.settings]
options:
  workers:
    description: Where workers keep results that the ledger may not know of.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The worker's address, as the dispatcher reaches it by ssh.
        type: str
        required: true
      user:
        description: The user there.
        type: str
        default: magma-remote
      port:
        description: The port of sshd.
        type: int
        default: 22
      workdirs:
        description: C(WORKDIRS) of the worker's settings.
        type: path
        required: true
attributes:
  check_mode:
    description:
      - Tells from the ledger what would be fetched, and asks no worker. Results whose feedback never came are not seen,
        which C(note) says.
    support: partial
    details: Only the workers know of results whose feedback never came.
  diff_mode:
    description: Tells the trials that are in WORKDIR before and after.
    support: full
  idempotent:
    description: Changed only where a result came that was not there.
    support: full
"""

EXAMPLES = r"""
- name: All results are in WORKDIR
  magma_merge:
    workers:
      - host: 192.0.2.11
        workdirs: /var/lib/magma-remote/worker/workdirs
  register: merged

- name: What is missing is told
  ansible.builtin.debug:
    msg: "{{ merged.missing }}"
"""

RETURN = r"""
workdir:
  description: Where the results are, on the dispatcher's host.
  returned: not in check mode
  type: str
state:
  description: V(open), V(cancelled) or V(ended).
  returned: success
  type: str
ended:
  description: Whether the campaign has ended.
  returned: success
  type: bool
total:
  description: How many trials it has.
  returned: success
  type: int
complete:
  description: How many of them are in WORKDIR.
  returned: success
  type: int
fetched:
  description: The jobs whose results this run brought.
  returned: not in check mode
  type: list
  elements: str
missing:
  description: The jobs without a result, each with its C(job), C(reason) and C(message).
  returned: not in check mode
  type: list
  elements: dict
groups:
  description: How many trials of each C(fuzzer), C(target) and C(program) are C(complete), of a C(total).
  returned: not in check mode
  type: list
  elements: dict
table:
  description: RV(groups) for people, a line each.
  returned: not in check mode
  type: list
  elements: str
unread:
  description: Workers that could not be asked, each with C(worker) and C(message).
  returned: not in check mode
  type: list
  elements: dict
note:
  description: What check mode cannot tell.
  returned: in check mode
  type: str
"""

WORKER = {
    "host": {"type": "str", "required": True},
    "user": {"type": "str", "default": "magma-remote"},
    "port": {"type": "int", "default": 22},
    "workdirs": {"type": "path", "required": True},
}
ARGUMENTS = {
    "workers": {"type": "list", "elements": "dict", "default": [], "options": WORKER},
    **SETTINGS,
    **EXECUTABLE,
}
ANSWERS = (0, 1)  # 1: something is missing, and the answer says what
NOTE = (
    "check mode asks the ledger and no worker: results whose feedback never reached the dispatcher are not counted; "
    "run it without --check to have them too"
)


def work(module: Any) -> dict[str, Any]:
    """Collect, or say what the ledger knows."""
    settings = ("--settings", module.params["settings"])
    if module.check_mode:
        return _foretold(ask(module, "status", "--json", *settings))
    places = [word for worker in module.params["workers"] for word in ("--worker", _place(worker))]
    answer = ask(module, "collect", "--json", *settings, *places, accepted=ANSWERS)
    for warning in _warnings(answer):
        module.warn(warning)
    groups = ((g["fuzzer"], g["target"], g["program"], g["complete"], g["total"]) for g in answer["groups"])
    diff = _diff(answer["complete"] - len(answer["fetched"]), answer["complete"])
    unread = answer.pop("unreachable")  # Ansible would take a result with this name for a host that is gone
    return {"changed": bool(answer["fetched"]), "diff": diff, "table": list(table(groups)), "unread": unread, **answer}


def _warnings(answer: dict[str, Any]) -> Iterator[str]:
    for lost in answer["unreachable"]:
        yield f"{lost['worker']} was not looked at: {lost['message']}"
    count = len(answer["missing"])
    if answer["ended"] and count:
        yield f"the campaign has ended, and {count} of its {answer['total']} trials are missing"


def _place(worker: dict[str, Any]) -> str:
    host = f"[{worker['host']}]" if ":" in worker["host"] else worker["host"]
    return f"{worker['user']}@{host}:{worker['port']}:{worker['workdirs']}"


def _foretold(status: dict[str, Any]) -> dict[str, Any]:
    campaign, counts = status["campaign"], status["counts"]
    coming = status["unfetched"] + counts["fetched"]
    return {
        "changed": coming > 0,
        "state": campaign["state"],
        "ended": campaign["ended_at"] is not None,
        "total": status["total"],
        "complete": counts["done"],
        "note": NOTE,
        "diff": _diff(counts["done"], counts["done"] + coming),
    }


def _diff(before: int, after: int) -> dict[str, str]:
    return {"before": f"trials in WORKDIR: {before}\n", "after": f"trials in WORKDIR: {after}\n"}


def main() -> None:
    """Run as a module."""
    run_module(work, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
