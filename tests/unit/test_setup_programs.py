from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.setup import apt, programs
from scripts.setup.memory import FakeShell
from scripts.setup.shell import Result, SetupError

if TYPE_CHECKING:
    from pathlib import Path

OK = Result(code=0, output="")
FAILED = Result(code=1, output="E: no")
INSTALL = "install -y --no-install-recommends"


@pytest.fixture(autouse=True)
def policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No policy, and no systemd, whatever this machine has."""
    monkeypatch.setattr(apt, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(programs, "SYSTEMD", tmp_path / "no systemd")
    return apt.POLICY


class Copying(FakeShell):
    """Does what `install` and `rm` do to the policy; notes it as apt-get would have seen it."""

    def __init__(self, policy: Path, answers: dict[str, Result] | None = None) -> None:
        super().__init__(answers, programs=["apt-get"])
        self.policy = policy
        self.seen = ""

    def answer(self, line: str) -> Result:
        words = line.split()
        if words[0] == "install":
            self.policy.write_bytes(type(self.policy)(words[-2]).read_bytes())
        elif words[0] == "rm":
            self.policy.unlink()
        elif INSTALL in line and self.policy.exists():
            self.seen = self.policy.read_text(encoding="ascii")
        return super().answer(line)


def test_programs_that_are_there_are_left_alone() -> None:
    shell = FakeShell(programs=list(programs.PACKAGES))
    assert programs.ensure(shell) == "beanstalkd, rsync, ssh, sshd, docker-registry are there"
    assert shell.ran == []


@pytest.mark.parametrize(
    ("there", "packages"),
    [
        pytest.param([], "beanstalkd rsync openssh-client openssh-server docker-registry", id="none"),
        pytest.param(["ssh", "rsync"], "beanstalkd openssh-server docker-registry", id="some"),
    ],
)
def test_only_what_is_missing_is_installed(there: list[str], packages: str) -> None:
    shell = FakeShell(programs=["apt-get", *there])
    programs.ensure(shell)
    assert any(line.endswith(f"{INSTALL} {packages}") for line in shell.ran)


@pytest.mark.parametrize("installed", [OK, FAILED], ids=["installed", "failed"])
def test_packages_may_start_nothing_and_the_policy_goes_again(policy: Path, installed: Result) -> None:
    shell = Copying(policy, {INSTALL: installed})
    if installed.ok:
        programs.ensure(shell)
    else:
        with pytest.raises(SetupError, match="apt-get install beanstalkd"):
            programs.ensure(shell)
    assert shell.seen.endswith("\nexit 101\n")
    assert not policy.exists()


def test_a_policy_that_was_there_stays(policy: Path) -> None:
    policy.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
    shell = Copying(policy)
    programs.ensure(shell)
    assert shell.seen == policy.read_text(encoding="ascii") == "#!/bin/sh\nexit 0\n"


def test_a_policy_that_a_killed_setup_left_goes(policy: Path) -> None:
    policy.write_text(apt._NEVER, encoding="ascii")
    programs.ensure(Copying(policy))
    assert not policy.exists()


def test_nothing_is_installed_where_services_could_not_be_held(policy: Path) -> None:
    shell = Copying(policy, {"install -m": FAILED})
    with pytest.raises(SetupError, match="without it packages start services"):
        programs.ensure(shell)
    assert not shell.ran_words(INSTALL)


def test_systemd_forgets_only_what_came_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "SYSTEMD", tmp_path)
    shell = FakeShell(programs=["apt-get", "ssh", "sshd"])
    programs.ensure(shell)
    assert [line.split()[-1] for line in shell.ran if "systemctl disable" in line] == [
        "beanstalkd.service",
        "rsync.service",
        "docker-registry.service",
    ]


def test_without_root_the_user_is_told_what_to_type() -> None:
    shell = FakeShell({"sudo -n true": FAILED}, root=False, programs=["apt-get", "rsync", "ssh"])
    with pytest.raises(SetupError, match="sudo apt-get install -y beanstalkd openssh-server docker-registry"):
        programs.ensure(shell)
