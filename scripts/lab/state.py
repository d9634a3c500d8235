"""What a lab has in the checkout: `.cache/lab/` with the way in and the inventory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.lab.plan import DISPATCHER
from scripts.setup.base_image import IMAGE
from scripts.setup.shell import SetupError

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.lab.plan import Host, Plan
    from scripts.setup.shell import Shell

DEFAULT_NAME = "lab"
USER = "ops"

_HOSTS = """\
# Written by `make lab`, and removed by `make lab-down`. ops may use sudo.
---
all:
  vars:
    ansible_user: {user}
    ansible_become: true
    ansible_ssh_private_key_file: "{{{{ inventory_dir }}}}/../key"
    ansible_ssh_common_args: >-
      -o 'UserKnownHostsFile="{{{{ inventory_dir }}}}/../known_hosts"' -o StrictHostKeyChecking=yes
      -o IdentitiesOnly=yes -o ServerAliveInterval=5 -o ServerAliveCountMax=3
    ansible_python_interpreter: /usr/bin/python3
dispatcher:
  hosts:
{dispatcher}
workers:
  hosts:
{workers}
"""

_GROUP_VARS = """\
# Written by `make lab`. What a campaign runs: the project's own tree, which needs nothing but Debian's mirror, and the
# image that it starts from, taken from this machine's engine: no registry has to be in reach.
---
magma_tree_path: {tree}
registry_base_images: [{image}]
"""


@dataclass(frozen=True, kw_only=True)
class State:
    """The files of a lab, in its folder."""

    folder: Path

    @property
    def key(self) -> Path:
        """The private key that Ansible gets in with; beside it the public one."""
        return self.folder / "key"

    @property
    def public_key(self) -> Path:
        """What the hosts know of it."""
        return self.folder / "key.pub"

    @property
    def known_hosts(self) -> Path:
        """The hosts' keys."""
        return self.folder / "known_hosts"

    @property
    def inventory(self) -> Path:
        """Folder for `ansible-playbook -i`."""
        return self.folder / "inventory"

    @property
    def resolver(self) -> Path:
        """The hosts' resolv.conf."""
        return self.folder / "resolv.conf"

    def files(self) -> tuple[Path, ...]:
        """All that a lab writes."""
        variables = self.inventory / "group_vars" / "all.yml"
        return (self.key, self.public_key, self.known_hosts, self.resolver, self.inventory / "hosts.yml", variables)

    def make_key(self, shell: Shell) -> None:
        """A key for this lab alone."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.key.unlink(missing_ok=True)
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "magma-remote lab", "-f", str(self.key)]
        result = shell.run(made, timeout=60)
        if not result.ok:
            raise SetupError(f"ssh-keygen could not write {self.key}:\n{result.tail()}")

    def write_inventory(self, plan: Plan, *, host_keys: dict[str, str], tree: Path) -> None:
        """The inventory, and the hosts' keys by address."""
        self.known_hosts.write_text("".join(f"{address} {key}\n" for address, key in host_keys.items()))
        variables = self.inventory / "group_vars"
        variables.mkdir(parents=True, exist_ok=True)
        (self.inventory / "hosts.yml").write_text(inventory(plan), encoding="utf-8")
        (variables / "all.yml").write_text(
            _GROUP_VARS.format(tree=json.dumps(str(tree)), image=json.dumps(IMAGE)), encoding="utf-8"
        )

    def remove(self) -> None:
        """Remove what was written; what somebody else put there stays."""
        for path in self.files():
            path.unlink(missing_ok=True)
        for folder in (self.inventory / "group_vars", self.inventory):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def folder(root: Path, name: str) -> Path:
    """Where the lab of this name keeps its state."""
    return root / ".cache" / (DEFAULT_NAME if name == DEFAULT_NAME else f"{DEFAULT_NAME}-{name}")


def inventory(plan: Plan) -> str:
    """The hosts as YAML; the stranger is in none."""
    dispatcher = [host for host in plan.hosts if host.name == DISPATCHER]
    workers = [host for host in plan.hosts if host.is_worker]
    return _HOSTS.format(user=USER, dispatcher=_lines(dispatcher), workers=_lines(workers))


def _lines(hosts: list[Host]) -> str:
    return "\n".join(f"    {host.name}:\n      ansible_host: {host.address}" for host in hosts)
