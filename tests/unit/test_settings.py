"""Settings files: what is read, and every message about what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.errors import ConfigError
from magma_remote.model.address import Address
from magma_remote.model.settings import (
    DISPATCHER_KEYS,
    WORKER_KEYS,
    DispatcherSettings,
    WorkerSettings,
    read_dispatcher,
    read_worker,
)

DISPATCHER = {"TEMP_RESULTS": "temp", "WORKDIR": "workdir", "COPY_TYPE": "rsync", "JOBS_CONFIG": "campaign.hjson"}
WORKER = {"WORKDIRS": "workdirs", "DISPATCHER_IP": "10.0.0.1", "WORKER_IP": "10.0.0.2", "MAGMA": "magma"}
LISTS = {", ".join(DISPATCHER_KEYS): "DISPATCHER KEYS", ", ".join(WORKER_KEYS): "WORKER KEYS"}
SOCKET = "host:port, or the path of a unix socket"
ONE_LINE = "one line of text, at most 65536 characters"
PORT = "a number from 1 to 65535"
HOST = "an IP address or a host name"
NAME = "a plain folder name (letters, digits, _ . + -)"


def locate(text: str) -> Path:
    if text.startswith("~"):
        raise ValueError("Could not determine home directory.")
    return Path("/here") / text


def dispatcher(text: str, *, needs_jobs: bool = True) -> DispatcherSettings:
    reading = read_dispatcher(parse_hjson(text.encode()), locate=locate, needs_jobs=needs_jobs)
    reading.findings.check("d.hjson")
    return reading.settings


def worker(text: str) -> WorkerSettings:
    reading = read_worker(parse_hjson(text.encode()), locate=locate, name="host", user="me")
    reading.findings.check("w.hjson")
    return reading.settings


def with_all(keys: dict[str, str], text: str) -> str:
    """The lines of `text`, then the required keys that it does not give."""
    return "\n".join([text, *(f"{key}: {value}" for key, value in keys.items() if f"\n{key}:" not in f"\n{text}")])


def messages(error: ConfigError) -> list[str]:
    text = str(error)
    for names, short in LISTS.items():
        text = text.replace(names, short)
    return text.splitlines()


def test_a_dispatcher_with_the_least() -> None:
    assert dispatcher(with_all(DISPATCHER, "")) == DispatcherSettings(
        temp_results=Path("/here/temp"),
        workdir=Path("/here/workdir"),
        copy_type="rsync",
        jobs_config=Path("/here/campaign.hjson"),
        queue=Address(host="127.0.0.1"),
    )


def test_a_dispatcher_with_everything() -> None:
    text = (
        "COPY_TYPE: scp\nQUEUE: unix:/run/q\nSSH_KEY: key\nSSH_KNOWN_HOSTS: /etc/hosts\n"
        "FETCHES: 8\nTTR: 600\nMAX_ATTEMPTS: 5\nREGISTRY: 127.0.0.1:5000"
    )
    settings = dispatcher(with_all(DISPATCHER, text))
    assert (settings.copy_type, settings.queue) == ("scp", Address(path="/run/q"))
    assert (settings.fetches, settings.ttr, settings.max_attempts) == (8, 600, 5)
    assert settings.registry == "127.0.0.1:5000"
    assert (settings.ssh_key, settings.ssh_known_hosts) == (Path("/here/key"), Path("/etc/hosts"))


def test_a_campaign_named_elsewhere() -> None:
    text = "TEMP_RESULTS: a\nWORKDIR: b\nCOPY_TYPE: scp"
    assert dispatcher(text, needs_jobs=False).jobs_config is None


def test_a_worker_with_the_least() -> None:
    assert worker(with_all(WORKER, "")) == WorkerSettings(
        workdirs=Path("/here/workdirs"),
        keep_workdirs=False,
        worker_ip="10.0.0.2",
        queue=Address(host="10.0.0.1", port=11300),
        magma=Path("/here/magma"),
        name="host",
        ssh_user="me",
    )


def test_a_worker_with_everything() -> None:
    text = (
        "KEEP_WORKDIRS: 1\nDISPATCHER_IP: fe80::1\nQUEUE: [::1]:5\nNAME: w-1\n"
        "HOUSEKEEPING_CPUS: [3, 0]\nSSH_PORT: 2222\nSSH_USER: magma"
    ).replace("[::1]:5", '"[::1]:5"')
    settings = worker(with_all(WORKER, text))
    assert (settings.keep_workdirs, settings.name, settings.housekeeping_cpus) == (True, "w-1", (0, 3))
    assert (settings.ssh_port, settings.ssh_user) == (2222, "magma")
    assert settings.queue == Address(host="::1", port=5)


def test_a_worker_with_a_registry_needs_no_tree() -> None:
    keys = {key: value for key, value in WORKER.items() if key != "MAGMA"}
    settings = worker(with_all(keys, "REGISTRY: registry.example:5000"))
    assert (settings.registry, settings.magma) == ("registry.example:5000", None)


def test_the_queue_is_the_dispatchers_in_ipv6_too() -> None:
    assert worker(with_all(WORKER, "DISPATCHER_IP: fe80::1")).queue.text == "[fe80::1]:11300"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "WORKDIRS: a",
            "1: WORKDIRS: unknown key; allowed: DISPATCHER KEYS; it belongs in worker.hjson",
            id="the other file's key",
        ),
        pytest.param(
            "fetchs: 4",
            "1: fetchs: unknown key; allowed: DISPATCHER KEYS; did you mean FETCHES?",
            id="mistyped key",
        ),
        pytest.param(
            "WORKDIR: a\nWORKDIR: b", "2: WORKDIR: given twice, on lines 1 and 2; allowed: each key once", id="twice"
        ),
        pytest.param(
            "COPY_TYPE: rsyn",
            '1: COPY_TYPE: found "rsyn"; allowed: rsync, scp; did you mean rsync?',
            id="mistyped word",
        ),
        pytest.param("COPY_TYPE: 1", "1: COPY_TYPE: found 1; allowed: rsync, scp", id="number for a word"),
        pytest.param(
            "WORKDIR: results # here",
            '1: WORKDIR: found "results # here"; allowed: a text in quotes, where it has a comma or a comment mark; '
            "a text without quotes takes the rest of its line, commas and comments too: put it in quotes",
            id="swallowed comment",
        ),
        pytest.param(
            "WORKDIR:\nFETCHES: 2",
            '1: WORKDIR: found "FETCHES: 2"; allowed: a text in quotes, where it has a comma or a comment mark; '
            "no value follows the key on its line, so Hjson took line 2 as its value",
            id="swallowed line",
        ),
        pytest.param(
            'WORKDIR: ""',
            '1: WORKDIR: found ""; allowed: a path, relative to this file or absolute; '
            "an empty text would be this file's own folder",
            id="empty path",
        ),
        pytest.param(
            "WORKDIR: ~nobody/x",
            '1: WORKDIR: found "~nobody/x"; allowed: a path, relative to this file or absolute; '
            "Could not determine home directory.",
            id="no such home",
        ),
        pytest.param(
            "WORKDIR: 5",
            f"1: WORKDIR: found 5; allowed: {ONE_LINE}; put it in quotes",
            id="number for a path",
        ),
        pytest.param("FETCHES: 65", "1: FETCHES: found 65; allowed: an integer from 1 to 64", id="too many fetches"),
        pytest.param("TTR: 9", "1: TTR: found 9; allowed: an integer from 10 to 3600", id="a TTR too short to be kept"),
        pytest.param(
            "TTR: 3601", "1: TTR: found 3601; allowed: an integer from 10 to 3600", id="an hour without a word"
        ),
        pytest.param(
            'FETCHES: "4"',
            '1: FETCHES: found "4"; allowed: an integer of 1 or more; write it without quotes',
            id="quoted number",
        ),
        pytest.param(
            "QUEUE: localhost",
            f'1: QUEUE: found "localhost"; allowed: {SOCKET}; did you mean localhost:11300?',
            id="host alone",
        ),
        pytest.param(
            "REGISTRY: 127.0.0.1",
            '1: REGISTRY: found "127.0.0.1"; allowed: host:port; did you mean 127.0.0.1:5000?',
            id="registry without a port",
        ),
        pytest.param(
            'REGISTRY: "[::1]:5000"',
            '1: REGISTRY: found "[::1]:5000"; allowed: host:port; '
            "Docker knows a registry by its name or IPv4 address, and its port",
            id="registry in IPv6",
        ),
        pytest.param(
            "REGISTRY: /run/registry.sock",
            '1: REGISTRY: found "/run/registry.sock"; allowed: host:port; '
            "Docker knows a registry by its name or IPv4 address, and its port",
            id="registry on a socket",
        ),
    ],
)
def test_bad_dispatcher_files(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        dispatcher(with_all(DISPATCHER, text))
    assert messages(caught.value) == [f"d.hjson:{line}" for line in expected.splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "COPY_TYPE: scp",
            "1: COPY_TYPE: unknown key; allowed: WORKER KEYS; it belongs in dispatcher.hjson",
            id="the other file's key",
        ),
        pytest.param("KEEP_WORKDIRS: 2", "1: KEEP_WORKDIRS: found 2; allowed: true or false", id="no flag"),
        pytest.param(
            "KEEP_WORKDIRS: yes",
            '1: KEEP_WORKDIRS: found "yes"; allowed: true or false; write true without quotes',
            id="word for a flag",
        ),
        pytest.param(
            "WORKER_IP: 10.0.0.2:22",
            f'1: WORKER_IP: found "10.0.0.2:22"; allowed: {HOST}; without a port',
            id="host with a port",
        ),
        pytest.param("WORKER_IP: 10.0.0.256", f'1: WORKER_IP: found "10.0.0.256"; allowed: {HOST}', id="no IP"),
        pytest.param("WORKER_IP: -oProxy", f'1: WORKER_IP: found "-oProxy"; allowed: {HOST}', id="an ssh option"),
        pytest.param("WORKER_IP: null", f'1: WORKER_IP: found null; allowed: {ONE_LINE}; write "" for none', id="null"),
        pytest.param("NAME: a/b", f'1: NAME: found "a/b"; allowed: {NAME}', id="no plain name"),
        pytest.param('SSH_USER: "a b"', '1: SSH_USER: found "a b"; allowed: a user\'s name', id="no user"),
        pytest.param("SSH_PORT: 0", f"1: SSH_PORT: found 0; allowed: {PORT}", id="port 0"),
        pytest.param('SSH_PORT: "22"', f'1: SSH_PORT: found "22"; allowed: {PORT}', id="quoted port"),
        pytest.param("SSH_PORT: true", f"1: SSH_PORT: found true; allowed: {PORT}", id="flag for a port"),
        pytest.param(
            "HOUSEKEEPING_CPUS: 0",
            "1: HOUSEKEEPING_CPUS: found 0; allowed: a list of logical CPU numbers, such as [0, 1]",
            id="number for a list",
        ),
        pytest.param(
            "HOUSEKEEPING_CPUS: []",
            "1: HOUSEKEEPING_CPUS: found an empty list; allowed: a list of logical CPU numbers, such as [0, 1]",
            id="empty list",
        ),
        pytest.param(
            "HOUSEKEEPING_CPUS: [0, -1, 0]",
            "1: HOUSEKEEPING_CPUS: found -1; allowed: an integer of 0 or more\n"
            "1: HOUSEKEEPING_CPUS: 0 is listed twice; allowed: each once",
            id="bad CPUs",
        ),
    ],
)
def test_bad_worker_files(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        worker(with_all(WORKER, text))
    assert messages(caught.value) == [f"w.hjson:{line}" for line in expected.splitlines()]


def test_everything_missing_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        dispatcher("{}")
    assert [problem.key for problem in caught.value.problems] == ["TEMP_RESULTS", "WORKDIR", "COPY_TYPE", "JOBS_CONFIG"]
    with pytest.raises(ConfigError) as caught:
        worker("{}")
    assert [problem.key for problem in caught.value.problems] == ["WORKDIRS", "DISPATCHER_IP", "WORKER_IP", "MAGMA"]


def test_what_is_wrong_is_told_with_what_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        worker("MAGMA: m\nNAME: a/b\nSSH_PORT: x")
    assert [(p.line, p.key) for p in caught.value.problems] == [
        (2, "NAME"),
        (3, "SSH_PORT"),
        (None, "WORKDIRS"),
        (None, "DISPATCHER_IP"),
        (None, "WORKER_IP"),
    ]
