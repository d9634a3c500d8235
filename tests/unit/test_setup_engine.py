from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.setup import base_image, engine
from scripts.setup.memory import FakeShell
from scripts.setup.shell import NOT_FOUND, Result, SetupError

if TYPE_CHECKING:
    from pathlib import Path

DENIED = "Got permission denied while trying to connect to the Docker daemon socket"
GONE = "Cannot connect to the Docker daemon. Is the docker daemon running?"
OK = Result(code=0, output="")


def failed(output: str = "", code: int = 1) -> Result:
    return Result(code=code, output=output)


# the engine


@pytest.fixture(autouse=True)
def _no_docker_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


def test_an_engine_that_answers_is_left_alone(tmp_path: Path) -> None:
    shell = FakeShell({"version": Result(code=0, output="27.1\n")})
    assert engine.ensure(shell, tmp_path) == "Docker Engine 27.1 answers"
    assert len(shell.ran) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_user_outside_the_group_is_told_the_line(tmp_path: Path) -> None:
    shell = FakeShell({"version": failed(DENIED)}, root=False)
    with pytest.raises(SetupError, match="sudo usermod -aG docker"):
        engine.ensure(shell, tmp_path)
    assert len(shell.ran) == 1


def test_an_engine_elsewhere_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://lab:2375")
    shell = FakeShell({"version": failed(GONE)}, programs=["apt-get"])
    with pytest.raises(SetupError, match="DOCKER_HOST is tcp://lab:2375"):
        engine.ensure(shell, tmp_path)
    assert shell.ran == ["docker --host tcp://lab:2375 version --format {{.Server.Version}}"]


def test_a_missing_engine_is_installed(tmp_path: Path) -> None:
    class Installing(FakeShell):
        def answer(self, line: str) -> Result:
            if "version" in line and not self.ran_words("install -y --no-install-recommends docker.io"):
                return failed("docker: No such file or directory", NOT_FOUND)
            return Result(code=0, output="20.10")

    shell = Installing(programs=["apt-get"])
    assert engine.ensure(shell, tmp_path) == "Docker Engine 20.10 answers"


def test_without_apt_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"no Debian or Ubuntu: install what they call docker\.io"):
        engine.ensure(FakeShell({"version": failed(GONE)}), tmp_path)


def test_without_root_the_user_is_told_what_to_type(tmp_path: Path) -> None:
    shell = FakeShell({"version": failed(GONE), "sudo -n true": failed()}, root=False, programs=["apt-get"])
    with pytest.raises(SetupError, match=r"sudo apt-get install -y docker\.io ca-certificates"):
        engine.ensure(shell, tmp_path)
    assert not shell.ran_words("update")


def test_systemd_starts_the_engine_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Starting(FakeShell):
        def answer(self, line: str) -> Result:
            started = self.ran_words("systemctl start docker")
            return failed(GONE) if "version" in line and not started else Result(code=0, output="27.1")

    monkeypatch.setattr(engine, "SYSTEMD", tmp_path)
    shell = Starting(programs=["dockerd"])
    engine.ensure(shell, tmp_path)
    assert (tmp_path / engine.RECORD).read_text(encoding="ascii") == "systemd"


def test_only_an_engine_that_setup_started_is_stopped(tmp_path: Path) -> None:
    shell = FakeShell()
    assert "nothing to stop" in engine.stop(shell, tmp_path)
    assert shell.ran == []


@pytest.mark.parametrize("pid", ["", "no number", "1", str(2**22 + 1)], ids=["none", "damaged", "init", "gone"])
def test_another_process_is_not_taken_for_dockerd(pid: str) -> None:
    assert not engine._is_dockerd(pid)


# the base image


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        pytest.param("bookworm Debian main http://m/debian/", "http://m/debian/", id="plain"),
        pytest.param(
            "bookworm-updates Debian main http://u/\nbookworm-security Debian-Security main http://s/\n"
            "bookworm Debian contrib http://c/\nbookworm Debian main https://m/\n",
            "https://m/",
            id="among-others",
        ),
        pytest.param("noble Ubuntu main http://u/ubuntu/", None, id="ubuntu"),
        pytest.param("bookworm Other main http://o/", None, id="third-party"),
        pytest.param("bookworm Debian main file:/srv/mirror", None, id="no-http"),
        pytest.param("bookworm Debian\n\nE: something", None, id="short-lines"),
        pytest.param("", None, id="no-lists"),
    ],
)
def test_the_mirror_is_the_hosts_own(listing: str, expected: str | None) -> None:
    assert base_image.mirror(listing) == expected


def test_an_image_that_is_there_is_left_alone(tmp_path: Path) -> None:
    shell = FakeShell()
    assert base_image.ensure(shell, tmp_path) == "debian:bookworm is there"
    assert len(shell.ran) == 1


def test_a_kept_root_file_system_saves_the_pull(tmp_path: Path) -> None:
    (tmp_path / "bookworm-rootfs.tar").touch()
    shell = FakeShell({"image inspect": failed("No such image")})
    base_image.ensure(shell, tmp_path)
    assert not shell.ran_words("pull")
    assert shell.ran_words("import --change")


def test_a_registry_comes_before_debootstrap(tmp_path: Path) -> None:
    shell = FakeShell({"image inspect": failed("No such image")})
    assert base_image.ensure(shell, tmp_path) == "debian:bookworm is pulled"
    assert not shell.ran_words("debootstrap")


def test_debootstrap_uses_the_hosts_mirror_and_leaves_nothing_behind(tmp_path: Path) -> None:
    answers = {
        "image inspect": failed("No such image"),
        "pull": failed("no such host"),
        "indextargets": Result(code=0, output="bookworm Debian main http://m/debian/"),
        "tar -C": failed("disk full"),
    }
    shell = FakeShell(answers, programs=["apt-get", "debootstrap"])
    with pytest.raises(SetupError, match="disk full"):
        base_image.ensure(shell, tmp_path)
    assert any(line.startswith("debootstrap") and line.endswith(" http://m/debian/") for line in shell.ran)
    assert shell.ran_words("rm -rf --one-file-system")
    assert list(tmp_path.iterdir()) == []
