"""Images by digest: found or built, twice at the most, one at a time, never stale."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from magma_remote.adapters.memory_guards import MemoryGuards
from magma_remote.adapters.memory_reporter import MemoryReporter
from magma_remote.adapters.memory_runner import MemoryRunner
from magma_remote.errors import BuildError, EngineError, StorageError
from magma_remote.model.campaign import Campaign
from magma_remote.model.units import Duration
from magma_remote.runtime.images.images import Images, Owner

if TYPE_CHECKING:
    from pathlib import Path

    from magma_remote.model.layout import Workdir


class Bench:
    """Images over a runner in memory."""

    def __init__(self, tree: Path, workdir: Workdir) -> None:
        self.tree = tree
        self.workdir = workdir
        self.runner = MemoryRunner()
        self.guards = MemoryGuards()
        self.reporter = MemoryReporter()
        self.log = workdir.build_log("afl", "libpng", "192.0.2.7")

    def images(self, *, uid: int = 1000, **settings: Any) -> Images:
        """As another run would make them."""
        return Images(
            runner=self.runner,
            guards=self.guards,
            reporter=self.reporter,
            campaign=Campaign(
                repeat=1, fuzzers=("afl",), targets=("libpng",), timeout=Duration.parse("1m"), **settings
            ),
            campaign_id="c0ffee",
            root=self.tree,
            owner=Owner(uid=uid, gid=1000),
            workdir=self.workdir,
            worker_ip="192.0.2.7",
            cpus=(0, 1),
        )

    def ensure(self, **settings: Any) -> str:
        images = self.images(**settings)
        return images.ensure(images.recipe("afl", "libpng")).id


@pytest.fixture
def bench(tree: Path, workdir: Workdir) -> Bench:
    return Bench(tree, workdir)


def test_a_build_gets_its_parts_and_its_cpus(bench: Bench) -> None:
    bench.ensure()
    ((recipe, cpus, context),) = bench.runner.builds
    assert cpus == (0, 1)
    assert dict(recipe.build_args) == {
        "fuzzer_name": "afl",
        "target_name": "libpng",
        "USER_ID": "1000",
        "GROUP_ID": "1000",
        "canaries": "1",
    }
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        assert {name.split("/")[0] for name in tar.getnames()} == {"docker", "magma", "fuzzers", "targets"}
        assert not [name for name in tar.getnames() if "libfuzzer" in name or "libtiff" in name]
    assert not list(bench.workdir.staging.iterdir())


def test_the_log_has_the_build(bench: Bench) -> None:
    bench.ensure()
    assert "Step 1/1" in bench.log.read_text()
    assert "'canaries': '1'" in bench.log.read_text()


def test_what_fits_is_not_built_again(bench: Bench) -> None:
    first = bench.ensure()
    assert bench.ensure() == first
    assert (len(bench.runner.builds), bench.guards.builds) == (1, 1)


def test_an_image_of_another_workdir_is_logged(bench: Bench) -> None:
    bench.ensure()
    bench.log.unlink()
    bench.ensure()
    assert "was there already" in bench.log.read_text()


@pytest.mark.parametrize(
    "settings",
    [{"isan": True}, {"harden": True}, {"uid": 1001}, {"canary_mode": 2}],
    ids=lambda value: next(iter(value)),
)
def test_other_arguments_are_another_image(bench: Bench, settings: dict[str, Any]) -> None:
    assert bench.ensure() != bench.ensure(**settings)


@pytest.mark.parametrize(
    "file", ["docker/Dockerfile", "magma/run.sh", "fuzzers/afl/build.sh", "targets/libpng/configrc"]
)
def test_other_parts_are_another_image(bench: Bench, file: str) -> None:
    before = bench.ensure()
    with (bench.tree / file).open("a") as tail:
        tail.write("# news\n")
    assert bench.ensure() != before


def test_what_is_no_part_is_no_reason_to_build(bench: Bench) -> None:
    bench.ensure()
    (bench.tree / "targets/libtiff/configrc").write_text("PROGRAMS=()\n")
    bench.ensure()
    assert len(bench.runner.builds) == 1


def test_another_base_image_is_another_image(bench: Bench) -> None:
    before = bench.ensure()
    assert bench.runner.pulled == ["debian:12"]
    bench.runner.images["debian:12"] = "sha256:newer"
    assert bench.ensure() != before
    assert bench.runner.pulled == ["debian:12"]


def test_a_build_is_tried_twice(bench: Bench) -> None:
    bench.runner.build_failures = [BuildError("a mirror was away")]
    bench.ensure()
    assert len(bench.runner.builds) == 2
    assert "a mirror was away; trying once more" in bench.reporter.notes
    assert "a mirror was away" in bench.log.read_text()


def test_a_second_failure_is_the_end(bench: Bench) -> None:
    bench.runner.build_failures = [BuildError("first"), BuildError("second", log_tail=("E: 404",))]
    with pytest.raises(BuildError, match="second; the whole log is ") as caught:
        bench.ensure()
    assert str(bench.log) in str(caught.value)
    assert caught.value.log_tail == ("E: 404",)
    assert "first" in bench.log.read_text()
    assert not list(bench.workdir.staging.iterdir())


def test_no_engine_is_no_reason_to_try_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_args: Any, **_kwargs: Any) -> str:
        raise EngineError("gone")

    monkeypatch.setattr(bench.runner, "build", gone)
    with pytest.raises(EngineError):
        bench.ensure()
    assert not list(bench.workdir.staging.iterdir())


def test_who_waited_for_the_same_build_uses_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    images = bench.images()
    recipe = images.recipe("afl", "libpng")
    answers = iter([None, "sha256:theirs"])
    monkeypatch.setattr(bench.runner, "find", lambda _recipe: next(answers))
    assert images.ensure(recipe).id == "sha256:theirs"
    assert not bench.runner.builds


@pytest.mark.parametrize("file", ["docker/Dockerfile", "targets/libpng/configrc"])
def test_a_file_that_changes_before_it_is_packed(bench: Bench, file: str) -> None:
    images = bench.images()
    recipe = images.recipe("afl", "libpng")
    with (bench.tree / file).open("a") as tail:
        tail.write("# news\n")
    with pytest.raises(StorageError, match="changed while its image was being built"):
        images.ensure(recipe)
    assert not bench.runner.builds
