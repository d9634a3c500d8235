"""Results over ssh with rsync, which goes on with a file that an earlier try left unfinished."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from magma_remote.adapters.process import run
from magma_remote.adapters.ssh import check_place, polite
from magma_remote.errors import MagmaRemoteError, TransferError

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.adapters.ssh import Ssh
    from magma_remote.model.messages import Place

_LONGEST = 24 * 3600.0  # seconds; rsync ends itself when nothing comes, and the next try goes on
_GLOB = re.compile(r"[*?\[\\]")


@dataclass(frozen=True, kw_only=True)
class RsyncTransfer:
    """A `ports.Transfer`."""

    ssh: Ssh

    def fetch(self, place: Place, destination: Path) -> None:
        """As the port says. Contents are not compared: whoever fetches verifies them against the manifest."""
        check_place(place)
        try:
            destination.mkdir(parents=True, exist_ok=True)
            run(self._command(place, destination), timeout=_LONGEST)
        except OSError as error:
            raise TransferError(f"{destination} cannot be made: {error.strerror}") from error
        except MagmaRemoteError as error:
            raise self.ssh.failed(place, str(error)) from error

    def _command(self, place: Place, destination: Path) -> list[str]:
        """It ends with this thread, whatever ends that: two of them must never append to one file.

        `--append` takes a shorter file for the beginning of the longer one. Its mode and time are set at its end.
        """
        host = f"[{place.host}]" if ":" in place.host else place.host
        return [
            *("setpriv", "--pdeathsig", "TERM", "--"),
            *("rsync", "--recursive", "--links", "--perms", "--times", "--append", "--protect-args"),
            *("--chmod", "ug-s,-t"),
            *("--timeout", f"{round(self.ssh.stall)}"),
            *("--rsh", " ".join(_word(word) for word in self.ssh.command(place))),
            *("--rsync-path", shlex.join([*polite(place), "rsync"])),
            f"{place.user}@{host}:{_literal(place.folder)}/",
            f"{destination.absolute()}/",
        ]


def _word(word: str) -> str:
    """One argument in the command line of `--rsh`, which rsync parts itself: a quote is doubled within quotes."""
    return "'" + word.replace("'", "''") + "'"


def _literal(folder: str) -> str:
    """The other rsync expands wildcards where there are any; only then a backslash is more than itself."""
    return _GLOB.sub(r"\\\g<0>", folder) if re.search(r"[*?\[]", folder) else folder
