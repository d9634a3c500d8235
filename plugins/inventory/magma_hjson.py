"""`-e @campaign.hjson` hands the file's path to the plays, and nothing of what is in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ansible import context
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.display import Display

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

DOCUMENTATION = """
name: magma_hjson
short_description: Takes campaign files in Hjson as extra vars
description:
  - Lets C(-e @FILE.hjson) name a campaign file in full Hjson, with comments, without braces, quotes or commas, which
    Ansible's own YAML reader would refuse or misread.
  - The only variable that comes of it is C(magma_campaign_file), the absolute path of FILE. What the file says never
    becomes variables, so nothing in it is templated and no key of it can clash with a variable.
  - It is no source of hosts. It must be enabled, and come first, in C(enable_plugins), and it leaves each inventory to
    the plugins after it.
  - Extra vars of other kinds, and files with other suffixes, are left to Ansible.
notes:
  - Given twice, the last file counts, as with any extra var.
author:
  - The magma-remote authors
options: {}
"""

EXAMPLES = """
# ansible.cfg
# [defaults]
# inventory_plugins = plugins/inventory
# [inventory]
# enable_plugins = magma_hjson, host_list, script, auto, yaml, ini, toml

# ansible-playbook campaign.yml -e @campaign.hjson
"""

VARIABLE = "magma_campaign_file"
BAD_OPTIONS = 5  # ansible-playbook's exit code for them


def campaign_files(extra_vars: Iterable[str]) -> list[str]:
    """The paths, as typed, of those extra vars that are files in Hjson."""
    files = (option[1:] for option in map(str, extra_vars) if option.startswith("@"))
    return [file for file in files if Path(file).suffix.lower() == ".hjson"]


class InventoryModule(BaseInventoryPlugin):
    """Puts the path where Ansible's loader looks for a file's content before it opens the file."""

    NAME = "magma_hjson"

    def verify_file(self, path: str) -> bool:
        """Whether this call names a campaign file; the inventory `path` does not matter."""
        del path
        return bool(self._files())

    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> NoReturn:  # noqa: FBT001, FBT002 - Ansible's signature
        """Never returns: the source is declined, so that the plugins after this one read it."""
        del inventory, cache
        for file in map(loader.path_dwim, self._files()):
            if not loader.is_file(file):
                _refuse(file)
            # The cache is private, but the loader offers no other way in. A plain str is not trusted as a template.
            loader._FILE_CACHE[file] = {VARIABLE: str(file)}  # noqa: SLF001 - as above
        raise AnsibleParserError(f"magma_hjson reads no hosts: {path} is left to the plugins after it")

    @staticmethod
    def _files() -> list[str]:
        return campaign_files(context.CLIARGS.get("extra_vars") or ())


def _refuse(file: str) -> NoReturn:
    """End the call: an error raised here would be taken for a broken inventory, and told once for each plugin."""
    Display().error(
        f"{file}: no such file. It is named with -e; a relative path counts from the folder of this call, {Path.cwd()}"
    )
    sys.exit(BAD_OPTIONS)
