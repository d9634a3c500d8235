"""Results over real ssh: whole, in pieces, refused, frozen."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.transfer import LocalFirst, transfer_for
from magma_remote.errors import CorruptError, TransferError
from magma_remote.runtime.workdir.manifest import verify
from tests.support.pids import name_of
from tests.support.servers.ports import free_port
from tests.support.servers.sshd import Line, SshServer, ssh_server
from tests.support.waiting import DEADLINE, until
from tests.support.workdirs.result import JOB, a_result, contents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from magma_remote.adapters.ssh import Ssh
    from magma_remote.model.entries import RunEntry
    from magma_remote.model.messages import Place
    from magma_remote.ports import Transfer

BIG = 24 << 20
PART = 4 << 20
SILENCE = 3.0
FETCH = """
from pathlib import Path, PosixPath
from magma_remote.adapters.rsync import RsyncTransfer
from magma_remote.adapters.ssh import Ssh
from magma_remote.model.messages import Place
RsyncTransfer(ssh={ssh!r}).fetch({place!r}, Path({here!r}))
"""


@pytest.fixture(params=["rsync", "scp"])
def copy_type(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    with ssh_server(tmp_path_factory.mktemp("s s'h")) as server:
        yield server


@pytest.fixture
def result(tmp_path: Path) -> RunEntry:
    return a_result(tmp_path / "work dirs '1' [a]* $(id)")


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "te mp" / "fetched"


def folder_of(run: RunEntry) -> Path:
    assert run.place
    return Path(run.place.folder)


def remote(copy_type: str, ssh: Ssh) -> Transfer:
    chosen = transfer_for(copy_type, ssh)
    assert isinstance(chosen, LocalFirst)
    return chosen.remote


def refused(copy_type: str, ssh: Ssh, place: Place, here: Path) -> str:
    with pytest.raises(TransferError) as told:
        remote(copy_type, ssh).fetch(place, here)
    assert place.folder in str(told.value)
    assert place.host in str(told.value)
    return str(told.value)


def big_file(root: Path) -> Path:
    return root / f"ar/{JOB.fuzzer}/{JOB.target}/{JOB.program}/{JOB.repeat}/big"


@contextmanager
def stalled(copy_type: str, server: SshServer, run: RunEntry, here: Path, cpus: tuple[int, ...] = ()) -> Iterator[None]:
    """A fetch that stands still in the middle of the big file, until its line is cut at the end of the block."""
    with Line(server.port, stop_after=PART) as line:
        server.trust(line.port)
        place, told = server.place(folder_of(run), port=line.port, cpus=cpus), list[str]()
        fetch = threading.Thread(target=lambda: told.append(refused(copy_type, server.ssh, place, here)))
        fetch.start()
        try:
            assert line.stands.wait(DEADLINE)
            until(lambda: big_file(here).exists() and big_file(here).stat().st_size > PART // 2)
            yield
        finally:
            line.cut()
            fetch.join(DEADLINE)
        assert told


def test_a_whole_folder(copy_type: str, server: SshServer, result: RunEntry, here: Path) -> None:
    transfer = remote(copy_type, server.ssh)
    transfer.fetch(server.place(folder_of(result)), here)
    assert contents(here) == contents(folder_of(result))
    verify(here, result.manifest)
    assert big_file(here).stat().st_mtime == pytest.approx(big_file(folder_of(result)).stat().st_mtime, abs=1)
    transfer.fetch(server.place(folder_of(result)), here)
    verify(here, result.manifest)


@pytest.mark.parametrize("pinned", [True, False], ids=["on housekeeping CPUs", "at idle priority"])
def test_no_trial_feels_that_it_is_served(
    copy_type: str, server: SshServer, tmp_path: Path, here: Path, *, pinned: bool
) -> None:
    run, cpu = a_result(tmp_path / "workdirs", big=BIG), max(os.sched_getaffinity(0))
    with stalled(copy_type, server, run, here, cpus=(cpu,) if pinned else ()):
        serving = [pid for pid in server.sessions() if name_of(pid) in {"rsync", "sftp-server"}]
        assert serving
        for pid in serving:
            assert not pinned or os.sched_getaffinity(pid) == {cpu}
            assert pinned or os.sched_getscheduler(pid) == os.SCHED_IDLE


@pytest.mark.parametrize("how", ["session killed", "line cut"])
def test_a_broken_connection_is_gone_on_with(
    copy_type: str, how: str, server: SshServer, tmp_path: Path, here: Path
) -> None:
    run = a_result(tmp_path / "workdirs", big=BIG)
    with stalled(copy_type, server, run, here):
        if how == "session killed":
            server.hang_up()
    there = big_file(here).stat()
    assert PART // 2 < there.st_size < BIG
    with Line(server.port, stop_after=BIG - there.st_size + (BIG >> 3)) as short:  # no room to send it all again
        server.trust(short.port)
        remote(copy_type, server.ssh).fetch(server.place(folder_of(run), port=short.port), here)
    verify(here, run.manifest)
    assert big_file(here).stat().st_ino == there.st_ino


def test_a_link_that_stands_still_is_dead(copy_type: str, server: SshServer, tmp_path: Path, here: Path) -> None:
    run = a_result(tmp_path / "workdirs", big=BIG)
    with Line(server.port, stop_after=PART) as line:
        server.trust(line.port)
        refused(copy_type, replace(server.ssh, silence=SILENCE), server.place(folder_of(run), port=line.port), here)
    assert PART // 2 < big_file(here).stat().st_size < BIG


def test_a_frozen_server(copy_type: str, server: SshServer, result: RunEntry, here: Path) -> None:
    with server.frozen():
        refused(copy_type, replace(server.ssh, silence=SILENCE), server.place(folder_of(result)), here)


def test_a_wrong_key(copy_type: str, server: SshServer, result: RunEntry, here: Path) -> None:
    said = refused(copy_type, replace(server.ssh, key=server.stranger), server.place(folder_of(result)), here)
    assert "authorized_keys" in said


def test_an_unknown_host_key(copy_type: str, server: SshServer, result: RunEntry, here: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.touch()
    said = refused(copy_type, replace(server.ssh, known_hosts=known), server.place(folder_of(result)), here)
    assert "ssh-keyscan" in said
    assert known.read_text() == ""


def test_another_host_key(copy_type: str, server: SshServer, result: RunEntry, here: Path, tmp_path: Path) -> None:
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {server.stranger.with_suffix('.pub').read_text()}")
    assert "ssh-keyscan" in refused(
        copy_type, replace(server.ssh, known_hosts=known), server.place(folder_of(result)), here
    )


def test_nobody_listens(copy_type: str, server: SshServer, result: RunEntry, here: Path) -> None:
    port = free_port()
    assert str(port) in refused(copy_type, server.ssh, server.place(folder_of(result), port=port), here)


def test_no_such_host(copy_type: str, server: SshServer, result: RunEntry, here: Path) -> None:
    refused(copy_type, server.ssh, replace(server.place(folder_of(result)), host="no-such-host.invalid"), here)


def test_no_such_folder(copy_type: str, server: SshServer, tmp_path: Path, here: Path) -> None:
    assert "No such file" in refused(copy_type, server.ssh, server.place(tmp_path / "gone"), here)


def test_a_link_out_of_the_folder_is_not_followed(
    copy_type: str, server: SshServer, result: RunEntry, here: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    big_file(folder_of(result)).unlink()
    big_file(folder_of(result)).symlink_to(secret)
    with suppress(TransferError):  # SFTP tells at once, rsync brings the link
        remote(copy_type, server.ssh).fetch(server.place(folder_of(result)), here)
    with pytest.raises(CorruptError):
        verify(here, result.manifest)
    assert not any(
        path.is_file() and path.read_bytes() == b"secret" for path in here.rglob("*") if not path.is_symlink()
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"host": "-oProxyCommand=touch${IFS}x"}, id="option"),
        pytest.param({"host": "a b"}, id="blank"),
        pytest.param({"user": "-l"}, id="user"),
        pytest.param({"port": 0}, id="port"),
        pytest.param({"folder": "/etc"}, id="folder elsewhere"),
        pytest.param({"folder": "relative"}, id="relative folder"),
    ],
)
def test_a_place_that_is_none(
    copy_type: str, changes: dict[str, object], server: SshServer, result: RunEntry, here: Path
) -> None:
    with pytest.raises(TransferError, match="worker"):
        remote(copy_type, server.ssh).fetch(replace(server.place(folder_of(result)), **changes), here)  # type: ignore[arg-type]
    assert not here.exists()


def test_a_destination_that_cannot_be_made(copy_type: str, server: SshServer, result: RunEntry, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("no folder")
    with pytest.raises(TransferError):
        remote(copy_type, server.ssh).fetch(server.place(folder_of(result)), blocked)
    assert blocked.read_text() == "no folder"


def test_sftp_where_no_program_may_be_started(tmp_path: Path, result: RunEntry, here: Path) -> None:
    own = tmp_path / "sshd"
    own.mkdir()
    with ssh_server(own, extra="Subsystem sftp internal-sftp\nForceCommand internal-sftp") as server:
        remote("scp", server.ssh).fetch(server.place(folder_of(result)), here)
    verify(here, result.manifest)


def test_rsync_ends_with_the_dispatcher(server: SshServer, tmp_path: Path, here: Path) -> None:
    run = a_result(tmp_path / "workdirs", big=BIG)
    with Line(server.port, stop_after=PART) as line:
        server.trust(line.port)
        place = server.place(folder_of(run), port=line.port)
        code = FETCH.format(ssh=server.ssh, place=place, here=str(here))
        with subprocess.Popen([sys.executable, "-c", code]) as child:
            until(lambda: big_file(here).exists() and big_file(here).stat().st_size > PART // 2)
            assert programs_about(here)
            child.kill()
        until(lambda: not programs_about(here))


def programs_about(path: Path) -> list[str]:
    """Names of the programs that have a path in their command lines."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if f"{path}/\0".encode() in line.read_bytes():
                found.append(name_of(int(line.parent.name)))
    return found


def test_paramiko_is_imported_for_sftp_alone(copy_type: str) -> None:
    code = (
        "import sys; from magma_remote.adapters.ssh import Ssh; from magma_remote.adapters.transfer import "
        f"transfer_for; transfer_for({copy_type!r}, Ssh()); print('paramiko' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=DEADLINE)
    assert done.stdout.strip() == str(copy_type == "scp")
