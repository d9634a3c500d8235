"""What several modules document in the same words."""

from __future__ import annotations


class ModuleDocFragment:
    """`magma` is the command, `.settings` the dispatcher's settings, `.reads` a module that changes nothing."""

    DOCUMENTATION = r"""
options:
  executable:
    description: The command C(magma-remote), as a path or as a name to look for in C(PATH).
    type: path
    default: magma-remote
"""

    SETTINGS = r"""
options:
  settings:
    description: The dispatcher's settings.
    type: path
    default: /etc/magma-remote/dispatcher.hjson
"""

    READS = r"""
attributes:
  check_mode:
    description: Whether it does the same in check mode.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
  idempotent:
    description: It changes nothing.
    support: full
"""
