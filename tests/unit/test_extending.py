"""A campaign is extended in its ledger: what is added, what is refused, and that it is one step."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import NoCampaignError, UsageError
from magma_remote.model.campaign_request import CampaignRequest
from magma_remote.model.entries import CampaignState, JobState, PinEntry
from magma_remote.model.jobs import Job
from magma_remote.model.pinned import PinnedImage
from magma_remote.runtime.dispatcher.extending import extend
from magma_remote.runtime.dispatcher.opening import begin, check_same, resume
from magma_remote.runtime.dispatcher.operations import campaign_of, cancel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def jobs(repeat: int, *fuzzers: str, fuzzargs: str = "") -> tuple[Job, ...]:
    return tuple(
        Job(repeat=n, fuzzer=fuzzer, target="libpng", program=program, fuzzargs=fuzzargs)
        for fuzzer in fuzzers
        for n in range(repeat)
        for program in ("read", "write")
    )


def a_request(made: tuple[Job, ...], text: str = "more", **terms: str) -> CampaignRequest:
    told = {"TIMEOUT": "5.0", "POLL": "5"} | terms
    return CampaignRequest(source="week.hjson", text=text, tree=text, timeout=5.0, jobs=made, terms=told)


FIRST = a_request(jobs(2, "afl"), "first")
MORE = a_request(jobs(3, "eclipser", "afl"))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqliteLedger]:
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as opened:
        begin(opened, FIRST, now=1.0)
        yield opened


def known(ledger: SqliteLedger) -> list[Job]:
    entries = list(ledger.jobs())
    assert [entry.number for entry in entries] == list(range(len(entries)))
    return [entry.job for entry in entries]


def end(ledger: SqliteLedger, state: CampaignState = CampaignState.ENDED) -> None:
    for entry in list(ledger.jobs()):
        ledger.save_job(replace(entry, state=JobState.DONE))
    ledger.save_campaign(replace(campaign_of(ledger), state=state, ended_at=9.0))


def test_new_jobs_come_behind_those_that_keep_their_numbers(ledger: SqliteLedger) -> None:
    first = next(iter(ledger.jobs()))
    ledger.save_job(replace(first, state=JobState.RUNNING, attempts=2))
    added = extend(ledger, MORE, now=2.0)
    assert known(ledger) == [*FIRST.jobs, *(job for job in MORE.jobs if job not in FIRST.jobs)]
    assert added.added == tuple(known(ledger)[4:])
    assert next(iter(ledger.jobs())) == replace(first, state=JobState.RUNNING, attempts=2)
    assert added.pairs == (("eclipser", "libpng"), ("afl", "libpng"))


def test_the_campaign_is_the_new_file_and_knows_the_old_one(ledger: SqliteLedger) -> None:
    config_id = campaign_of(ledger).config_id
    extend(ledger, MORE, now=2.0)
    campaign = campaign_of(ledger)
    assert (campaign.config_id, campaign.text, campaign.tree, campaign.since) == (config_id, "more", "more", 1.0)
    (edition,) = campaign.editions
    assert (edition.sha256, edition.jobs, edition.until) == (sha256(b"first").hexdigest(), 4, 2.0)


def test_the_second_time_changes_nothing(ledger: SqliteLedger) -> None:
    extend(ledger, MORE, now=2.0)
    before = campaign_of(ledger), known(ledger)
    assert extend(ledger, MORE, now=3.0).added == ()
    assert (campaign_of(ledger), known(ledger)) == before


def test_it_goes_on_as_extended_without_being_asked_again(ledger: SqliteLedger) -> None:
    extend(ledger, MORE, now=2.0)
    assert resume(ledger, campaign_of(ledger), MORE).state is CampaignState.OPEN
    with pytest.raises(UsageError, match="no longer asked for: 1 of eclipser/libpng/read"):
        check_same(ledger, campaign_of(ledger), a_request(jobs(2, "eclipser") + jobs(3, "afl")))
    with pytest.raises(UsageError, match=r"no longer asked for: 3 of eclipser/libpng/read, .*1 of afl"):
        check_same(ledger, campaign_of(ledger), FIRST)


@pytest.mark.parametrize("state", [CampaignState.ENDED, CampaignState.CANCELLED])
def test_an_ended_campaign_is_open_again(ledger: SqliteLedger, state: CampaignState) -> None:
    end(ledger, state)
    extend(ledger, MORE, now=10.0)
    assert (campaign_of(ledger).state, campaign_of(ledger).ended_at) == (CampaignState.OPEN, None)
    assert ledger.counts()[JobState.DONE] == 4


def test_an_ended_campaign_with_nothing_new_stays_ended(ledger: SqliteLedger) -> None:
    end(ledger)
    assert not extend(ledger, a_request(FIRST.jobs, "a comment"), now=10.0).added
    assert (campaign_of(ledger).text, campaign_of(ledger).ended_at) == ("a comment", 9.0)


def test_pins_stay(ledger: SqliteLedger) -> None:
    pin = PinEntry(image=PinnedImage(fuzzer="afl", target="libpng", manifest="sha256:1"), recipe="r", uid=642, gid=642)
    ledger.save_pins([pin])
    extend(ledger, MORE, now=2.0)
    assert ledger.pins() == (pin,)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(a_request(jobs(1, "afl")), "no longer asked for: 1 of afl/libpng/read", id="smaller REPEAT"),
        pytest.param(a_request(jobs(2, "eclipser")), "no longer asked for: 2 of afl/libpng/read", id="a fuzzer less"),
        pytest.param(a_request(jobs(3, "afl"), POLL="6"), "POLL was 5, is 6", id="a term"),
        pytest.param(
            replace(a_request(jobs(3, "afl"), TIMEOUT="6.0"), timeout=6.0), "TIMEOUT was 5 s, is 6 s", id="timeout"
        ),
        pytest.param(
            a_request(jobs(3, "afl", fuzzargs="-d")), "other arguments for 2 of afl/libpng/read", id="unnamed arguments"
        ),
        pytest.param(
            a_request(jobs(1, "afl"), POLL="6"), "POLL was 5, is 6, no longer asked for: 1 of", id="all of it is told"
        ),
    ],
)
def test_what_is_refused_changes_nothing(ledger: SqliteLedger, asked: CampaignRequest, said: str) -> None:
    before = campaign_of(ledger), known(ledger)
    with pytest.raises(UsageError, match=f"cannot be extended by week.hjson.*{re.escape(said)}"):
        extend(ledger, asked, now=2.0)
    with pytest.raises(UsageError, match=f"makes other trials now.*{re.escape(said)}"):
        check_same(ledger, campaign_of(ledger), asked)
    assert (campaign_of(ledger), known(ledger)) == before


def test_another_tree_is_refused_where_nothing_more_is_known(tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as ledger:
        begin(ledger, replace(FIRST, terms={}), now=1.0)
        with pytest.raises(UsageError, match=r"cannot be extended by week\.hjson: the Magma tree"):
            extend(ledger, replace(MORE, terms={}), now=2.0)


def test_without_the_option_it_is_named(ledger: SqliteLedger) -> None:
    with pytest.raises(UsageError, match=r"further trials: 3 of eclipser/libpng/read, .*`magma-remote dispatch --ext"):
        check_same(ledger, campaign_of(ledger), MORE)


def test_one_that_is_being_cancelled_ends_first(ledger: SqliteLedger) -> None:
    cancel(ledger)
    with pytest.raises(UsageError, match="is being cancelled"):
        extend(ledger, MORE, now=2.0)
    assert known(ledger) == list(FIRST.jobs)


def test_there_must_be_one(tmp_path: Path) -> None:
    with closing(SqliteLedger(tmp_path / "ledger.sqlite")) as ledger, pytest.raises(NoCampaignError):
        extend(ledger, MORE, now=2.0)


def test_killed_within_nothing_has_happened(ledger: SqliteLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    before = campaign_of(ledger), known(ledger)

    def die(_entry: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger, "save_campaign", die)
    with pytest.raises(KeyboardInterrupt):
        extend(ledger, MORE, now=2.0)
    assert (campaign_of(ledger), known(ledger)) == before
