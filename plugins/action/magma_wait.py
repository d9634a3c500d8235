"""Follows a campaign from the controller to its end. Documentation: library/magma_wait.py."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGUMENTS = {
    "interval": {"type": "int", "default": 10},
    "patience": {"type": "int", "default": 120},
    "settings": {"type": "path", "default": "/etc/magma-remote/dispatcher.hjson"},
    "executable": {"type": "path", "default": "magma-remote"},
}
STILL = 600.0
"""Seconds after which a line is said again though nothing happened."""
WELCOME = "Following the campaign on {host}. Ctrl-C stops looking; the campaign goes on."
GONE = (
    "no dispatcher runs on {host}, and the campaign has not ended: workers go on, and keep their results. Why: "
    "`systemctl status magma-dispatcher` there (without systemd, /var/log/magma-remote/magma-dispatcher.log). The same "
    "`ansible-playbook campaign.yml` call goes on where it was"
)
NOTHING = "no campaign is there to follow on {host}: start one with `ansible-playbook campaign.yml -e @campaign.hjson`"
SILENT = "{host} has not said how the campaign stands for {seconds:.0f} s, while the campaign may well go on: {why}"


@dataclass
class Trouble:
    """Since when something is wrong; it passes, or it lasts too long."""

    patience: float
    since: float | None = None

    def lasts(self, now: float) -> bool:
        """Whether it is wrong for longer than the patience, if it is wrong at `now` too."""
        self.since = now if self.since is None else self.since
        return now - self.since >= self.patience

    def over(self) -> None:
        """It is all right."""
        self.since = None


class Lines:
    """Says what is new."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._told = ""
        self._at = 0.0

    def say(self, text: str, left: str, now: float) -> None:
        """Say `text`, with the time that is `left`, where it has changed or was said long ago."""
        if text != self._told or now - self._at >= STILL:
            self._told, self._at = text, now
            self._display.display("; ".join(filter(None, (text, left))))


class ActionModule(ActionBase):
    """Looks every `interval` seconds, from the machine that runs the playbook."""

    TRANSFERS_FILES = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """How the campaign stands at its end; AnsibleActionFail where it cannot be followed."""
        super().run(tmp, task_vars)
        _, options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        host = str((task_vars or {}).get("inventory_hostname", "the dispatcher"))
        if self._task.check_mode:
            return {"skipped": True, "msg": "nothing is started in check mode, so there is nothing to wait for"}
        display = Display()
        display.display(WELCOME.format(host=host))
        return self._follow(options, task_vars, host, Lines(display))

    def _follow(
        self, options: Mapping[str, Any], task_vars: dict[str, Any] | None, host: str, lines: Lines
    ) -> dict[str, Any]:
        silent, gone = Trouble(options["patience"]), Trouble(options["patience"])
        while True:
            now = time.monotonic()
            status = self._look(options, task_vars)
            if status.get("failed"):
                if silent.lasts(now):
                    raise AnsibleActionFail(SILENT.format(host=host, seconds=options["patience"], why=status["msg"]))
                lines.say(f"{host} does not answer, looking again: {status['msg']}", "", now)
            elif status["campaign"] is None:
                raise AnsibleActionFail(NOTHING.format(host=host))
            else:
                silent.over()
                lines.say(status["progress"], status["left"], now)
                if not status["active"]:
                    return status
                if status["dispatcher_runs"]:
                    gone.over()
                elif gone.lasts(now):
                    raise AnsibleActionFail(GONE.format(host=host))
            time.sleep(options["interval"])

    def _look(self, options: Mapping[str, Any], task_vars: dict[str, Any] | None) -> dict[str, Any]:
        arguments = {key: options[key] for key in ("settings", "executable")}
        try:
            found = self._execute_module(
                module_name="magma_queue_info", module_args=arguments, task_vars=task_vars, wrap_async=False
            )
        except AnsibleConnectionFailure as error:
            self._connection.reset()
            return {"failed": True, "msg": str(error)}
        return dict(found)
