"""A campaign's images in a registry: built once, pinned for good, named where they are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from magma_remote.errors import BuildError, BusyError, RegistryError, UsageError
from magma_remote.model.entries import JobState, RunEntry, RunState
from magma_remote.model.outcome import Reason
from magma_remote.runtime.dispatcher import operations
from magma_remote.runtime.dispatcher.supply import bury_late, check_registry
from magma_remote.runtime.images import provision
from magma_remote.runtime.images.provision import ImageState
from tests.support.memory.supply import PNG, TIFF, a_host

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from magma_remote.model.layout import Workdir
    from tests.support.memory.supply import Host


@pytest.fixture
def host(tree: Path, workdir: Workdir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setattr(provision, "PATIENCE", 0.0)
    with a_host(tree, workdir, tmp_path) as made:
        yield made


def test_looking_changes_nothing(host: Host) -> None:
    found = host.provision().look([PNG, TIFF])
    assert [(each.pair, each.state, each.message) for each in found] == [
        (PNG, ImageState.MISSING, "to be built"),
        (TIFF, ImageState.MISSING, "to be built"),
    ]
    assert (host.runner.pulled, host.runner.builds, host.registry.server.images) == ([], [], {})


def test_all_are_built_once_and_pushed_by_their_digest(host: Host) -> None:
    first = host.provision().ensure([PNG, TIFF])
    assert [each.state for each in first] == [ImageState.BUILT, ImageState.BUILT]
    assert [(recipe.target, cpus) for recipe, cpus, _ in host.runner.builds] == [
        ("libpng", (0, 1)),
        ("libtiff", (0, 1)),
    ]
    assert sorted(host.registry.server.images) == sorted(
        (each.pin.image.name, each.pin.image.manifest) for each in first if each.pin
    )
    again = host.provision().ensure([PNG, TIFF])
    assert [each.state for each in again] == [ImageState.PRESENT, ImageState.PRESENT]
    assert [each.pin for each in again] == [each.pin for each in first]
    assert (len(host.runner.builds), len(host.registry.server.pushed)) == (2, 2)
    assert first[0].log == str(host.workdir.build_log(*PNG, "192.0.2.7"))
    assert not host.workdir.staging.exists()
    assert not host.guards.held


def test_what_is_built_but_not_there_is_only_pushed(host: Host) -> None:
    host.provision().ensure([PNG])
    host.registry.server.images.clear()
    assert [each.message for each in host.provision().look([PNG])] == ["to be pushed"]
    (found,) = host.provision().ensure([PNG])
    assert (found.state, found.message) == (ImageState.BUILT, "was there, only pushed")
    assert len(host.runner.builds) == 1


def test_nothing_is_built_while_trials_run_here(host: Host) -> None:
    host.guards.held.add(3)
    with pytest.raises(BusyError, match="CPUs 3 of this machine are held by trials"):
        host.provision().ensure([PNG])
    assert not host.runner.builds
    host.guards.held.clear()
    host.provision().ensure([PNG])
    host.guards.held.add(3)
    assert [each.state for each in host.provision().ensure([PNG])] == [ImageState.PRESENT]


def test_no_trial_begins_while_an_image_is_built(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[set[Path | int]] = []
    push = host.registry.push

    def watched(image: str, name: str, tag: str) -> str:
        held.append(set(host.guards.held))
        return push(image, name, tag)

    monkeypatch.setattr(host.registry, "push", watched)
    host.provision().ensure([PNG])
    assert held == [{0, 1, 2, 3}], "the engine pushes on whatever CPU it likes"


def test_a_campaign_that_goes_on_does_so_without_unless_it_is_to_be_now(host: Host) -> None:
    pins = tuple(each.pin for each in host.provision().ensure([PNG]) if each.pin)
    host.guards.held.add(3)
    assert [each.state for each in host.provision(pins).ensure([TIFF])] == [ImageState.FAILED]
    with pytest.raises(BusyError, match="CPUs 3 of this machine are held by trials"):
        host.provision(pins).ensure([TIFF], now=True)


def test_a_registry_that_is_away_is_said(host: Host) -> None:
    host.registry.server.up = False
    with pytest.raises(RegistryError):
        host.supply()
    assert host.states() == [JobState.WAITING] * 3
    assert not host.guards.held


@pytest.mark.parametrize("what", ["registry", "engine", "room for what it lost"])
def test_a_campaign_that_has_all_images_goes_on_while_the_registry_is_away(host: Host, what: str) -> None:
    before = host.supply()
    pins = host.ledger.pins()
    builds = len(host.runner.builds)
    host.settle(0, JobState.DEAD)
    if what == "engine":
        host.runner.go()
    elif what == "registry":
        host.registry.server.up = False
    else:
        host.registry.server.images.clear()
        host.registry.server.full = {"magma/afl/libpng"}
    given = host.supply()
    assert given.away
    assert (given.images, given.missing) == (before.images, frozenset())
    assert (host.ledger.pins(), len(host.runner.builds)) == (pins, builds)
    assert host.states() == [JobState.DEAD, JobState.WAITING, JobState.WAITING]
    assert not host.guards.held


def test_an_image_that_was_never_made_waits_for_the_registry(host: Host) -> None:
    host.runner.build_failures = [BuildError("first"), BuildError("second")]
    host.supply()
    host.registry.server.up = False
    assert host.supply().missing == {PNG}, "nobody asked for it"
    operations.requeue(host.ledger, [0])
    with pytest.raises(RegistryError, match="does not answer"):
        host.supply()
    assert host.states() == [JobState.WAITING, JobState.DEAD, JobState.WAITING]


def test_a_failed_build_kills_its_jobs_alone(host: Host) -> None:
    host.runner.build_failures = [BuildError("first"), BuildError("second", log_tail=("E: 404",))]
    given = host.supply()
    assert [image.pair for image in given.images] == [TIFF]
    assert given.missing == {PNG}
    assert host.states() == [JobState.DEAD, JobState.DEAD, JobState.WAITING]
    dead = host.ledger.job(0)
    assert dead
    assert (dead.reason, dead.attempts) == (Reason.IMAGE, 0)
    assert dead.message == f"second; the whole log is {host.workdir.build_log(*PNG, '192.0.2.7')}"


def test_a_requeued_job_has_its_image_built_by_the_next_dispatcher(host: Host) -> None:
    host.runner.build_failures = [BuildError("first"), BuildError("second")]
    given = host.supply()
    operations.requeue(host.ledger, [0])
    waiting = list(host.ledger.jobs(JobState.WAITING))
    assert bury_late(host.ledger, waiting, given.missing) == {0}
    late = host.ledger.job(0)
    assert late
    assert "built only when a dispatcher starts" in late.message
    builds = len(host.runner.builds)
    assert host.supply().missing == {PNG}
    assert len(host.runner.builds) == builds, "nobody asked for it"
    operations.requeue(host.ledger, [0])
    again = host.supply()
    assert [image.pair for image in again.images] == [PNG, TIFF]
    assert again.missing == frozenset()
    assert host.states() == [JobState.WAITING, JobState.DEAD, JobState.WAITING]


def test_a_campaign_keeps_its_images_whatever_becomes_of_the_base(host: Host) -> None:
    first = host.supply()
    host.runner.images["debian:12"] = "sha256:newer"
    assert host.supply() == first
    assert len(host.runner.builds) == 2
    other = host.provision().look([PNG])
    assert other[0].state is ImageState.MISSING, "another campaign gets another image"


def test_a_lost_image_is_pushed_again(host: Host) -> None:
    first = host.supply()
    host.registry.server.images.clear()
    assert host.supply() == first
    assert len(host.registry.server.images) == 2
    assert len(host.runner.builds) == 2


@pytest.mark.parametrize("how", ["gone here, too", "another digest"])
def test_of_an_image_that_is_lost_for_good_no_other_is_made(host: Host, how: str) -> None:
    before, pins = host.supply(), host.ledger.pins()
    host.registry.server.images.clear()
    if how == "another digest":
        host.registry.server.salt = "pepper"
    else:
        host.runner.built.clear()
    with pytest.raises(UsageError, match="name another WORKDIR"):
        host.provision(pins).ensure([PNG, TIFF])
    assert host.supply() == before, "workers may have it"
    assert (host.ledger.pins(), len(host.runner.builds)) == (pins, 2)
    assert host.states() == [JobState.WAITING] * 3


def test_what_is_lost_matters_only_to_jobs_that_are_left(host: Host) -> None:
    host.supply()
    host.registry.server.images.clear()
    host.runner.built.clear()
    for number in (0, 1):
        host.settle(number, JobState.DONE)
    host.settle(2, JobState.DEAD)
    given = host.supply()
    assert given.images == ()
    assert given.missing == {PNG, TIFF}


def test_a_lost_result_of_a_pair_that_was_done_waits_for_the_next_dispatcher(host: Host) -> None:
    host.supply()
    for number in (0, 1):
        host.settle(number, JobState.DONE)
    given = host.supply()
    assert [image.pair for image in given.images] == [TIFF], "a pair whose jobs are all done needs none"
    operations.requeue(host.ledger, [0], give_up=lambda _: "")
    assert bury_late(host.ledger, list(host.ledger.jobs(JobState.WAITING)), given.missing) == {0}
    operations.requeue(host.ledger, [0])
    again = host.supply()
    assert {image.pair for image in again.images} == {PNG, TIFF}
    assert host.states() == [JobState.WAITING, JobState.DONE, JobState.WAITING]


def test_a_campaign_goes_on_while_its_own_trials_are_in_the_way_of_a_build(host: Host) -> None:
    host.runner.build_failures = [BuildError("first"), BuildError("second")]
    host.supply()
    operations.requeue(host.ledger, [0])
    host.registry.server.images.clear()
    host.guards.held.add(2)
    given = host.supply()
    assert [image.pair for image in given.images] == [TIFF], "workers that have it go on"
    assert given.missing == {PNG}
    dead = host.ledger.job(0)
    assert dead
    assert dead.state is JobState.DEAD
    assert "held by trials" in dead.message


@pytest.mark.parametrize(
    ("pinned", "ran", "registry", "says"),
    [
        pytest.param(True, True, "", "bring REGISTRY back", id="registry gone"),
        pytest.param(False, True, "r:5000", "began without REGISTRY", id="registry new"),
        pytest.param(False, False, "r:5000", "", id="nothing ran yet"),
        pytest.param(True, True, "r:5000", "", id="as before"),
        pytest.param(False, True, "", "", id="never any"),
    ],
)
def test_images_do_not_change_where_they_come_from(
    host: Host, *, pinned: bool, ran: bool, registry: str, says: str
) -> None:
    if pinned:
        host.supply()
    if ran:
        host.ledger.save_run(RunEntry(run="0-a", number=0, attempt=1, worker="w", state=RunState.KEPT))
    if says:
        with pytest.raises(UsageError, match=says):
            check_registry(host.ledger, registry)
    else:
        check_registry(host.ledger, registry)
