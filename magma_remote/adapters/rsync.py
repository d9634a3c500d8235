"""Results over ssh with rsync, which goes on with a file that an earlier try left unfinished."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from magma_remote.adapters.process import run
from magma_remote.adapters.ssh import check_place, polite
from magma_remote.adapters.transfer_local import LARGEST_MARK, MARK, MARKS, read_marks
from magma_remote.errors import MagmaRemoteError, TransferError

if TYPE_CHECKING:
    from magma_remote.adapters.ssh import Ssh
    from magma_remote.model.messages import Place

_LONGEST = 24 * 3600.0  # seconds; rsync ends itself when nothing comes, and the next try goes on
_GLOB = re.compile(r"[*?\[\]]")
_WANTED = ("/worker.json", f"/{MARKS}/", f"/{MARKS}/{MARK}")
_VANISHED = "failed with status 24:"
_TRIES = 3
# --append takes a shorter file for the beginning of the longer one; its mode and time are set at its end
_AS_IT_IS = ("--links", "--perms", "--times", "--append", "--chmod", "ug-s,-t")


@dataclass(frozen=True, kw_only=True)
class RsyncTransfer:
    """A `ports.Transfer` and a `ports.Marks`."""

    ssh: Ssh

    def fetch(self, place: Place, destination: Path) -> None:
        """As the port says. Contents are not compared: whoever fetches verifies them against the manifest."""
        check_place(place)
        try:
            destination.mkdir(parents=True, exist_ok=True)
            run(self._command(place, place.folder, destination, *_AS_IT_IS), timeout=_LONGEST)
        except OSError as error:
            raise TransferError(f"{destination} cannot be made: {error.strerror}") from error
        except MagmaRemoteError as error:
            raise self.ssh.failed(place, str(error)) from error

    def marks(self, place: Place) -> dict[str, bytes]:
        """As the port says. One that is confirmed while it is listed is no reason to fail."""
        place = replace(place, folder=f"{place.workdirs}/{MARKS}")
        check_place(place)
        only = [f"--include={path}" for path in _WANTED]
        options = (*only, "--exclude=*", f"--max-size={LARGEST_MARK}", "--perms", "--chmod", "D700,F600")
        for left in reversed(range(_TRIES)):
            try:
                with TemporaryDirectory(prefix="magma-remote-") as folder:
                    run(self._command(place, place.workdirs, Path(folder), *options), timeout=_LONGEST)
                    return read_marks(Path(folder))
            except TransferError as error:
                raise self.ssh.failed(place, f"{place.workdirs} holds no worker.json: it is no WORKDIRS") from error
            except MagmaRemoteError as error:
                if not left or _VANISHED not in str(error):
                    raise self.ssh.failed(place, str(error)) from error
        raise AssertionError

    def _command(self, place: Place, folder: str, destination: Path, *options: str) -> list[str]:
        """It ends with this thread, whatever ends that: two of them must never append to one file.

        The server's shell gets the folder with backslashes before all that is special to it, as rsync does it since
        3.2.4, and not apart from the command: rrsync, which may be all that we are let at, must see what is asked for.
        """
        host = f"[{place.host}]" if ":" in place.host else place.host
        return [
            *("setpriv", "--pdeathsig", "TERM", "--"),
            *("rsync", "--recursive", "--no-old-args", "--no-protect-args", *options),
            *("--timeout", f"{round(self.ssh.stall)}"),
            *("--rsh", " ".join(_word(word) for word in self.ssh.command(place))),
            *("--rsync-path", shlex.join([*polite(place), "rsync"])),
            f"{place.user}@{host}:{_literal(folder)}/",
            f"{destination.absolute()}/",
        ]


def _word(word: str) -> str:
    """One argument in the command line of `--rsh`, which rsync parts itself: a quote is doubled within quotes."""
    return "'" + word.replace("'", "''") + "'"


def _literal(folder: str) -> str:
    """Wildcards are all that rsync leaves to the server's shell."""
    return _GLOB.sub(r"\\\g<0>", folder)
