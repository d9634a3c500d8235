"""What our modules share: the call of `magma-remote`, and errors that become a module's one message."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.magma_remote.errors import MagmaRemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

VERSION = 1  # of the JSON that magma-remote prints
EXECUTABLE = {"executable": {"type": "path", "default": "magma-remote"}}
SETTINGS = {"settings": {"type": "path", "default": "/etc/magma-remote/dispatcher.hjson"}}
MISSING = "`ansible-playbook deploy.yml` installs it on this host"
_PREFIX = "magma-remote: "


class CommandError(MagmaRemoteError):
    """`magma-remote` is missing, refused, or said what cannot be read."""


def run_module(work: Callable[[Any], dict[str, Any]], **specification: Any) -> None:
    """Be a module: exit with what `work` returns for the AnsibleModule, or fail with its error's message."""
    module = AnsibleModule(supports_check_mode=True, **specification)
    try:
        result = work(module)
    except MagmaRemoteError as error:
        module.fail_json(msg=str(error))
    else:
        module.exit_json(**result)


def call(module: Any, *words: str, accepted: Collection[int] = (0,), missing: str = MISSING) -> str:
    """What `magma-remote WORDS` prints on standard output.

    CommandError with all that it said where it exits otherwise than with one of `accepted`, fails without an answer,
    or cannot be started; `missing` says how it comes there.
    """
    executable = module.params["executable"]
    path = module.get_bin_path(executable)
    if path is None:
        raise CommandError(f"{executable} is not there, or cannot be executed: {missing}")
    code, out, err = module.run_command([path, *words], environ_update={"LC_ALL": "C.UTF-8"})
    if code not in accepted or (code and not out.strip()):
        raise CommandError(_said(err or out) or f"{path} {words[0]} ended with exit code {code} and said nothing")
    return str(out)


def ask(module: Any, *words: str, accepted: Collection[int] = (0,), missing: str = MISSING) -> dict[str, Any]:
    """The JSON object that `magma-remote WORDS` prints, `version` left out; CommandError as above."""
    out = call(module, *words, accepted=accepted, missing=missing)
    try:
        answer = json.loads(out)
    except ValueError as error:
        raise CommandError(f"magma-remote {words[0]} printed no JSON: {error}") from error
    version = answer.pop("version", None) if isinstance(answer, dict) else None
    if version != VERSION:
        raise CommandError(
            f"magma-remote {words[0]} speaks version {version} of its JSON, this module version {VERSION}: "
            "`ansible-playbook deploy.yml` brings both to one release"
        )
    return dict(answer)


def _said(text: str) -> str:
    lines = text.strip().splitlines()
    return "\n".join(line.removeprefix(_PREFIX) for line in lines)


def campaign_words(parameters: Mapping[str, Any]) -> list[str]:
    """FILE and --magma of the module options `file` and `magma`, where they are given."""
    words = [] if parameters["magma"] is None else ["--magma", parameters["magma"]]
    return words if parameters["file"] is None else [*words, "--", parameters["file"]]
