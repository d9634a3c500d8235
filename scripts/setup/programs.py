"""What dispatcher and workers call beside Docker: beanstalkd, rsync, ssh, a registry; programs, not services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scripts.setup import apt

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.setup.shell import Shell

SYSTEMD = Path("/run/systemd/system")  # exists only where systemd is process 1
PACKAGES = {
    "beanstalkd": "beanstalkd",
    "rsync": "rsync",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
    "docker-registry": "docker-registry",
}
SERVICES = {  # what each package would have started at every boot
    "beanstalkd": ("beanstalkd.service",),
    "rsync": ("rsync.service",),
    "docker-registry": ("docker-registry.service",),
    "openssh-server": ("ssh.service", "ssh.socket"),
}


def ensure(shell: Shell) -> str:
    """Install what is missing, and start none of it: a service that was there before stays as it is."""
    packages = [package for program, package in PACKAGES.items() if not shell.which(program)]
    if not packages:
        return f"{', '.join(PACKAGES)} are there"
    apt.install(shell, *packages, services=False)
    if SYSTEMD.is_dir():
        _disable(shell, packages)
    return f"{', '.join(packages)} installed; none of their services is started"


def _disable(shell: Shell, packages: Iterable[str]) -> None:
    for unit in (unit for package in packages for unit in SERVICES.get(package, ())):
        # one call each: which of them a package has differs between Debian and Ubuntu
        shell.as_root(["systemctl", "disable", "--quiet", unit], timeout=60)
