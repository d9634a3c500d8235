"""Validates a campaign file."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ansible.module_utils.magma_cli import EXECUTABLE, CommandError, ask, call, campaign_words, run_module

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DOCUMENTATION = r"""
module: magma_campaign
short_description: Validates a campaign file and tells what it would run
description:
  - Has C(magma-remote) check a campaign file against its Magma tree, and tells what it would run.
  - Everything that is wrong in the file is told in one message, a line each with its place.
  - The file may be any Hjson, and is never templated. Unknown keys are refused.
author:
  - The magma-remote authors
extends_documentation_fragment: [magma, magma.reads]
options:
  file:
    description:
      - Path of the campaign file on the host that the module runs on.
      - Playbooks get it from C(-e @campaign.hjson) as the variable C(magma_campaign_file).
    type: path
  content:
    description:
      - What the campaign file holds, where O(file) is on another host and only names it in messages.
    type: str
  tree_required:
    description: Whether a campaign without a Magma tree, neither by its C(MAGMA) nor by O(magma), is refused.
    type: bool
    default: true
  magma:
    description: Path of the Magma tree to use instead of the file's C(MAGMA).
    type: path
  jobs:
    description: Whether each job is told too, in the order in which they start.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: The campaign file holds
  magma_campaign:
    file: "{{ magma_campaign_file }}"
  delegate_to: localhost
  register: checked

- name: The campaign's length is told
  ansible.builtin.debug:
    msg: "{{ checked.campaign.jobs }} trials of {{ checked.campaign.timeout }} s"
"""

RETURN = r"""
campaign:
  description: What the file says; null where it has no tree and needs none.
  returned: success
  type: dict
  contains:
    source:
      description: The file.
      type: str
    magma:
      description: Absolute path of the Magma tree that it was checked against.
      type: str
    jobs:
      description: How many jobs it has.
      type: int
    trials:
      description: How many of them each fuzzer has.
      type: dict
    pairs:
      description: Fuzzers and targets that need an image, in the order in which they are built.
      type: list
      elements: dict
      sample: [{fuzzer: aflplusplus, target: libpng}]
    timeout:
      description: How long a trial fuzzes, in seconds.
      type: float
    notes:
      description: What may surprise, a sentence each.
      type: list
      elements: str
    cpus:
      description: What it asks of each worker's CPUs, as C(magma_cpu_layout) takes it.
      type: dict
    job_list:
      description: Each job, with C(repeat), C(fuzzer), C(target), C(program), C(args) and C(fuzzargs).
      returned: with O(jobs=true)
      type: list
      elements: dict
"""

ARGUMENTS = {
    "file": {"type": "path"},
    "content": {"type": "str"},
    "tree_required": {"type": "bool", "default": True},
    "magma": {"type": "path"},
    "jobs": {"type": "bool", "default": False},
    **EXECUTABLE,
}
ANSWERS = (0, 2)  # 2: the campaign does not hold, and the answer says why
NO_FILE = (
    "no campaign file was given: name one with -e @FILE.hjson, such as "
    "`ansible-playbook campaign.yml -e @examples/demo.hjson`"
)
MISSING = (
    "`make setup` installs it on the controller, in .venv/bin beside ansible-playbook; "
    "with an Ansible of your own, `pip install .` in this repository puts it there"
)


def work(module: Any) -> dict[str, Any]:
    """What `validate` says and, where asked, `jobs`."""
    if not module.params["file"]:
        raise CommandError(NO_FILE)
    with _at_hand(module.params) as path:
        words = campaign_words({**module.params, "file": path})
        campaign = ask(module, "validate", "--json", *words, accepted=ANSWERS, missing=MISSING)
        if "problems" in campaign:
            return _refused(module.params, campaign["problems"])
        if module.params["jobs"]:
            campaign["job_list"] = _jobs(module, words)
    campaign["source"] = module.params["file"]
    campaign["pairs"] = [{"fuzzer": fuzzer, "target": target} for fuzzer, target in campaign["pairs"]]
    return {"changed": False, "campaign": campaign}


@contextmanager
def _at_hand(parameters: Mapping[str, Any]) -> Iterator[str]:
    """The path of a file that holds the campaign, for the block; the command may run as another user."""
    if parameters["content"] is None:
        yield parameters["file"]
        return
    with TemporaryDirectory(prefix="magma-campaign-") as folder:
        path = Path(folder) / "campaign.hjson"
        path.write_text(parameters["content"], encoding="utf-8")
        Path(folder).chmod(0o755)
        path.chmod(0o644)
        yield str(path)


def _refused(parameters: Mapping[str, Any], problems: list[dict[str, Any]]) -> dict[str, Any]:
    """All that is wrong in one error, unless the tree is another's to tell."""
    if not parameters["tree_required"] and any(one["key"] == "MAGMA" and one["line"] is None for one in problems):
        return {"changed": False, "campaign": None}
    lines = [f"{_place(parameters['file'], one['line'])}: {one['text']}" for one in problems]
    raise CommandError("\n".join(lines))


def _place(file: str, line: int | None) -> str:
    return file if line is None else f"{file}:{line}"


def _jobs(module: Any, words: list[str]) -> list[dict[str, Any]]:
    lines = call(module, "jobs", "--json", *words, missing=MISSING).splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "v"} for line in lines]


def main() -> None:
    """Run as a module."""
    run_module(work, argument_spec=ARGUMENTS)


if __name__ == "__main__":
    main()
