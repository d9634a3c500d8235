"""A campaign file's located members → `Campaign`, or everything that is wrong with them."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from .campaign import Campaign, CanaryMode, WorkerMode
from .document import describe
from .fields import Fields, plain_text, shown_key, unique
from .findings import Findings, did_you_mean, listed
from .jobs import MOST_JOBS, count_jobs
from .selection import Selector
from .units import Duration, Size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..errors import Problem
    from .document import Node, Table
    from .tree import MagmaTree

KEYS = (
    "REPEAT",
    "FUZZERS",
    "TARGETS",
    "OVERRIDDEN_TARGETS",
    "PROGRAMS",
    "FUZZARGS",
    "WORKER_MODE",
    "WORKERS",
    "WORKER_POOL",
    "CAMPAIGN_WORKERS",
    "FUZZER_CAMPAIGN_WORKERS",
    "TIMEOUT",
    "POLL",
    "CACHE_ON_DISK",
    "NO_ARCHIVE",
    "ISAN",
    "HARDEN",
    "POC_EXTRACT",
    "TMPFS_SIZE",
    "CANARY_MODE",
    "MAGMA",
)
DEFAULT_TIMEOUT = Duration.parse("1m")
# what a key stands for that the file leaves out, as a file would say it; of the others that depends, or is nothing
DEFAULTS: Mapping[str, str | int | bool] = MappingProxyType(
    {
        "WORKER_MODE": Campaign.worker_mode.value,
        "CAMPAIGN_WORKERS": Campaign.campaign_workers,
        "TIMEOUT": DEFAULT_TIMEOUT.text,
        "POLL": Campaign.poll,
        "CACHE_ON_DISK": Campaign.cache_on_disk,
        "NO_ARCHIVE": Campaign.no_archive,
        "ISAN": Campaign.isan,
        "HARDEN": Campaign.harden,
        "POC_EXTRACT": Campaign.poc_extract,
        "CANARY_MODE": int(Campaign.canary_mode),
    }
)
LONGEST_TIMEOUT = Duration.parse("3650d")
COUNTED = 10**15  # a larger number says less than words
SMALLEST_TMPFS = Size.parse("1m")
_POSITIVE = "an integer of 1 or more"
_WORKER_MODES: Mapping[str | int, WorkerMode] = {
    **{mode.value: mode for mode in WorkerMode},
    **dict(enumerate(WorkerMode, start=1)),
}
_CANARY_MODES: Mapping[str | int, CanaryMode] = {int(mode): mode for mode in CanaryMode}
# captain's names that carry a fuzzer or a target, and the key that took their place
_CAPTAIN_NAME = re.compile(r"(.+)_(TARGETS|PROGRAMS|FUZZARGS|CAMPAIGN_WORKERS)", re.DOTALL)
_CAPTAIN_KEY = {"TARGETS": "OVERRIDDEN_TARGETS", "CAMPAIGN_WORKERS": "FUZZER_CAMPAIGN_WORKERS"}


def magma_path(document: Table) -> str | None:
    """MAGMA as written, where it is a text; `read_campaign` reports it where it is something else."""
    return next((plain_text(node) for key, node in document.pairs if key == "MAGMA"), None)


def magma_line(document: Table) -> int | None:
    """The line of MAGMA, or None."""
    return next((node.line for key, node in document.pairs if key == "MAGMA"), None)


def read_campaign(
    document: Table, *, tree: MagmaTree | None, source: str = "", problems: tuple[Problem, ...] = ()
) -> Campaign:
    """Read and check a whole campaign; ConfigError holds all that is wrong, `problems` included.

    Without a tree (it could not be read: `problems` says why) names are checked among themselves only,
    and `targets` may be empty.
    """
    findings = Findings(problems)
    members = unique(document, findings)
    _check_keys(members, findings)
    fields = Fields(members, findings)
    repeat = _repeat(fields)
    campaign = _campaign(fields, Selector(fields, findings, tree), repeat=repeat)
    _check_workers(campaign, fields, findings)
    findings.check(source)
    if tree is not None:
        _check_count(campaign, tree, fields, findings)
    findings.check(source)
    return campaign


def _check_keys(members: Mapping[str, Node], findings: Findings) -> None:
    for key, node in members.items():
        if key not in KEYS:
            hint = _captain_hint(key) or did_you_mean(key, KEYS)
            findings.add(shown_key(key), node.line, "unknown key", listed(KEYS), hint)


def left_out(settings: Mapping[str, object]) -> dict[str, str | int | bool]:
    """What keys stand for that a campaign file with these keys leaves out; nothing where they are no whole file's."""
    given = {*settings, "WORKER_MODE"} if "WORKER_POOL" in settings else settings.keys()
    return {key: value for key, value in DEFAULTS.items() if "REPEAT" in settings and key not in given}


def _captain_hint(key: str) -> str:
    """What to write for a name that only captainrc knows."""
    if key == "WORKDIR":
        return "give it on the command line: --workdir DIR"
    match = _CAPTAIN_NAME.fullmatch(key)
    # all in capitals it is rather a mistyped key than a name with a fuzzer in it
    if match is None or key.isupper():
        return ""
    return f"a captainrc name: write it under {_CAPTAIN_KEY.get(match[2], match[2])}"


def _repeat(fields: Fields) -> int:
    fields.require("REPEAT", _POSITIVE)
    return fields.optional_integer("REPEAT") or 1


def _campaign(fields: Fields, selector: Selector, *, repeat: int) -> Campaign:
    selection = selector.selection()
    pool = _worker_pool(fields)
    mode = fields.choice("WORKER_MODE", _WORKER_MODES, WorkerMode.LOGICAL, "logical, physical, socket, 1, 2, 3")
    return Campaign(
        repeat=repeat,
        fuzzers=selection.fuzzers,
        targets=selection.targets,
        overridden_targets=selection.overridden_targets,
        programs=selection.programs,
        fuzzargs=selection.fuzzargs,
        worker_mode=WorkerMode.LOGICAL if pool else mode,
        workers=fields.optional_integer("WORKERS"),
        worker_pool=pool,
        campaign_workers=fields.optional_integer("CAMPAIGN_WORKERS") or Campaign.campaign_workers,
        fuzzer_campaign_workers=_fuzzer_workers(fields, selector),
        timeout=fields.parsed(
            "TIMEOUT", _timeout, DEFAULT_TIMEOUT, "a number with s, m, h or d, such as 24h, at most 3650d", "s"
        ),
        poll=fields.optional_integer("POLL") or Campaign.poll,
        cache_on_disk=fields.flag("CACHE_ON_DISK"),
        no_archive=fields.flag("NO_ARCHIVE"),
        isan=fields.flag("ISAN"),
        harden=fields.flag("HARDEN"),
        poc_extract=fields.flag("POC_EXTRACT"),
        tmpfs_size=fields.parsed("TMPFS_SIZE", _size, None, "a size such as 16g (k, m, g or t), at least 1m", "g"),
        canary_mode=fields.choice("CANARY_MODE", _CANARY_MODES, CanaryMode.CANARIES, "1, 2, 3"),
        magma=_magma(fields),
    )


def _timeout(text: str) -> Duration:
    duration = Duration.parse(text)
    if duration.seconds > LONGEST_TIMEOUT.seconds:
        raise ValueError(text)
    return duration


def _size(text: str) -> Size | None:
    size = Size.parse(text)
    if size.bytes < SMALLEST_TMPFS.bytes:
        raise ValueError(text)
    return size


def _magma(fields: Fields) -> str | None:
    node = fields.node("MAGMA")
    return None if node is None else fields.text("MAGMA", node)


def _worker_pool(fields: Fields) -> tuple[int, ...] | None:
    """CPU numbers in file order; None where the key is missing or bad."""
    node = fields.node("WORKER_POOL")
    if node is None:
        return None
    if not isinstance(node.value, tuple) or not node.value:
        fields.reject("WORKER_POOL", node, "a list of logical CPU numbers, such as [1, 3, 5]")
        return None
    cpus: list[int] = []
    for item in node.value:
        cpu = fields.integer("WORKER_POOL", item, 0)
        if cpu in cpus:
            fields.repeated("WORKER_POOL", item)
        elif cpu is not None:
            cpus.append(cpu)
    return tuple(cpus) or None


def _fuzzer_workers(fields: Fields, selector: Selector) -> Mapping[str, int]:
    key = "FUZZER_CAMPAIGN_WORKERS"
    counts = {}
    for fuzzer, node in fields.table(key, "an object: fuzzer -> integer").items():
        if selector.has_fuzzer(key, fuzzer, node):
            count = fields.integer(f"{key} {shown_key(fuzzer)}", node, 1)
            counts[fuzzer] = count or 1
    return MappingProxyType(counts)


def _check_workers(campaign: Campaign, fields: Fields, findings: Findings) -> None:
    """WORKERS against WORKER_POOL, and no trial that needs more CPUs than there are to be."""
    pool, workers = campaign.worker_pool, campaign.workers
    if fields.node("WORKERS") and (pool_line := fields.line("WORKER_POOL")):
        found = f"given together with WORKER_POOL (line {pool_line})"
        findings.add("WORKERS", fields.line("WORKERS"), found, "one of the two")
        return
    most = len(pool) if pool else workers
    if most is None:
        return
    limit = f"at most {describe(most)}, as " + ("WORKER_POOL has no more" if pool else "WORKERS says")
    if campaign.campaign_workers > most:
        found = f"found {describe(campaign.campaign_workers)}"
        findings.add("CAMPAIGN_WORKERS", fields.line("CAMPAIGN_WORKERS"), found, limit)
    for fuzzer, count in campaign.fuzzer_campaign_workers.items():
        if count > most:
            line = fields.member_line("FUZZER_CAMPAIGN_WORKERS", fuzzer)
            findings.add(f"FUZZER_CAMPAIGN_WORKERS {fuzzer}", line, f"found {describe(count)}", limit)


def _check_count(campaign: Campaign, tree: MagmaTree, fields: Fields, findings: Findings) -> None:
    count = count_jobs(campaign, tree)
    if count > MOST_JOBS:
        found = f"makes {describe(count)} trials" if count < COUNTED else "makes far too many trials"
        findings.add("REPEAT", fields.line("REPEAT"), found, f"at most {MOST_JOBS} in all")
    if count == 0:
        findings.add("FUZZERS", fields.line("FUZZERS"), "no trial at all", "at least one")
