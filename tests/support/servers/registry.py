"""A registry of images for tests: Debian's docker-registry as a process."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING, Self

from tests.support.servers.ports import free_port
from tests.support.waiting import DEADLINE, until

if TYPE_CHECKING:
    from pathlib import Path


class RegistryServer:
    """One registry on a loopback port of its own: started on entering, ended on leaving. Its data are in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers."""
        assert self._process is None, "it is started already"
        config = self._folder / "config.json"  # which is YAML, too
        settings = {
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}},
            "http": {"addr": self.address},
        }
        config.write_text(json.dumps(settings))
        with (self._folder / "log.txt").open("ab") as log:
            words = ["docker-registry", "serve", str(config)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self._answers() or self._ended())
        assert not self._ended(), (self._folder / "log.txt").read_text(errors="replace")

    def stop(self) -> None:
        """End it; nothing where it does not run."""
        if self._process:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(DEADLINE)
            self._process = None

    def lose(self, name: str) -> None:
        """Lose all images of a name, but not their layers, which take long to be pushed."""
        shutil.rmtree(self._folder / "data/docker/registry/v2/repositories" / name / "_manifests")

    def clear(self) -> None:
        """Lose all that it ever had, as with a new disk."""
        self.stop()
        shutil.rmtree(self._folder / "data")
        self.start()

    def asked(self, manifest: str) -> int:
        """How often it was asked for an image by its digest."""
        return (self._folder / "log.txt").read_text(errors="replace").count(f"/manifests/{manifest} ")

    def _answers(self) -> bool:
        host, _, port = self.address.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=1)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _ended(self) -> bool:
        return self._process is None or self._process.poll() is not None
