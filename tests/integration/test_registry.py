"""Images built once: a real registry, a dispatcher that fills it, workers without a tree that pull from it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from docker.errors import APIError, ImageNotFound

from magma_remote.adapters.docker import DockerRunner
from magma_remote.adapters.docker_registry import DockerRegistry
from magma_remote.adapters.memory_reporter import MemoryReporter
from magma_remote.adapters.sqlite import SqliteLedger
from magma_remote.errors import RegistryError
from magma_remote.model.entries import PinEntry
from magma_remote.model.pinned import PinnedImage
from magma_remote.runtime.images.restoring import Restoring
from tests.conftest import missing
from tests.support.processes.quickrun import CPUS
from tests.support.servers.registry import RegistryServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from docker import DockerClient

    from tests.support.processes.cluster import Cluster, Program
    from tests.support.processes.command import Ended

NOWHERE = "127.0.0.1:9"  # nobody listens on the port of `discard`
OPENED = "Type `magma-remote status --watch`"  # the campaign is broadcast

# what a trial needs and no more: an image on the whole of Debian takes half a minute to be pushed
SMALL = """
USER root:root
RUN for tool in sh bash cat cp date head mkdir multilog mv realpath rm timeout; do which "$tool"; done > /tools \\
    && ldd $(cat /tools) "${OUT}"/letters | grep -o '/[^ :]*\\.so[^ ]*' >> /tools \\
    && mkdir -p /small/etc /small/tmp && ln -s usr/bin /small/bin \\
    && cp --parents --dereference $(cat /tools) /small \\
    && grep magma /etc/passwd > /small/etc/passwd && grep magma /etc/group > /small/etc/group

FROM scratch
ARG fuzzer_name
ARG target_name
ENV PATH=/usr/bin:/bin OUT=/magma_out SHARED=/magma_shared MAGMA=/magma/magma \\
    FUZZER=/magma/fuzzers/${fuzzer_name} TARGET=/magma/targets/${target_name}
COPY --from=whole /small /
COPY --from=whole --chown=magma:magma /magma /magma
COPY --from=whole --chown=magma:magma /magma_out /magma_out
USER magma:magma
ENTRYPOINT exec "${MAGMA}/run.sh"
"""


@pytest.fixture(scope="module")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """One for all tests here."""
    if not shutil.which("docker-registry"):
        missing("no docker-registry")
    with RegistryServer(tmp_path_factory.mktemp("registry") / "data") as server:
        yield server


@pytest.fixture
def server(registry_server: RegistryServer, cluster: Cluster) -> Iterator[RegistryServer]:
    """For images that are small. The engine knows of nothing that is in it, before and after."""
    shrink(cluster.lab.tree)
    forget(cluster.lab.engine, registry_server.address)
    yield registry_server
    forget(cluster.lab.engine, registry_server.address)


def shrink(tree: Path) -> None:
    """Let the images of a tree be what trials need, and not all that builds need."""
    file = tree / "docker" / "Dockerfile"
    whole, entry, _ = file.read_text().replace("FROM ${BASE_IMAGE}", "FROM ${BASE_IMAGE} AS whole").partition("# exec:")
    assert entry
    file.write_text(whole + SMALL)


def forget(engine: DockerClient, address: str) -> None:
    """Let this machine's engine be as one that never had an image of the registry."""
    for image in engine.api.images():  # one request, whatever the number of images
        for name in (*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())):
            if name.startswith(f"{address}/"):
                try:
                    engine.images.remove(name)
                except (ImageNotFound, APIError):  # it went with the name before
                    continue


def images(cluster: Cluster, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    """What `images --json` says of the campaign."""
    ended = cluster.call("images", str(cluster.folder / "campaign.hjson"), "--json", *arguments)
    assert ended.code == code, ended.output
    found: dict[str, Any] = json.loads(ended.output[ended.output.index("\n{") if "\n{" in ended.output else 0 :])
    assert found["version"] == 1
    return list(found["images"])


def start_workers(cluster: Cluster, server: RegistryServer) -> list[Program]:
    """Two that have no tree to build from."""
    return cluster.start_workers(REGISTRY=server.address, MAGMA=None)


def pins(cluster: Cluster) -> dict[tuple[str, str], str]:
    ledger = SqliteLedger.open_existing(cluster.workdir() / "ledger.sqlite")
    found = {pin.image.pair: pin.image.manifest for pin in ledger.pins()}
    ledger.close()
    return found


def dispatch(cluster: Cluster, server: RegistryServer) -> Ended:
    cluster.start_dispatcher(cluster.folder / "campaign.hjson", REGISTRY=server.address)
    return cluster.wait_for_end()


def test_built_once_pulled_by_all_and_a_failed_one_is_named(cluster: Cluster, server: RegistryServer) -> None:
    campaign = cluster.campaign(FUZZERS=["steady", "broken"], REPEAT=2)
    dispatcher = cluster.start_dispatcher(campaign, REGISTRY=server.address)
    dispatcher.await_output(OPENED)
    forget(cluster.lab.engine, server.address)
    asked = server.asked(pin(cluster))
    workers = start_workers(cluster, server)
    ended = cluster.wait_for_end()
    assert ended.code == 1
    assert cluster.entries() == ["steady/toy/letters/0", "steady/toy/letters/1"]
    assert server.asked(pin(cluster)) > asked, "a worker has pulled it"
    dead = [line for line in ended.lines if line.startswith("  missing: ")]
    assert [line.split(",")[1] for line in dead] == ["broken", "broken"]
    (log,) = (cluster.workdir() / "log").glob("broken_toy_build_*.log")
    assert all("(image: " in line and str(log) in line and line.endswith("; 0 attempts)") for line in dead)
    assert log.read_text().count("broken: no rule to make target 'fuzzer'") >= 2, "it was tried twice"
    for worker in workers:
        worker.await_output("ready with 1 CPU sets")
        assert not list((worker.workdir / "log").glob("*_build_*"))
        assert "uilding" not in worker.output
    (record,) = {record["image"] for record in records(cluster)}
    assert record == cluster.lab.engine.images.get(f"{server.address}/magma/steady/toy@{pin(cluster)}").id
    mend_and_requeue(cluster, server)


def records(cluster: Cluster) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((cluster.workdir() / "trials").glob("*.json"))]


def pin(cluster: Cluster) -> str:
    return pins(cluster)["steady", "toy"]


def mend_and_requeue(cluster: Cluster, server: RegistryServer) -> None:
    """A build that failed is tried again once a person asks for it; what ran before stays what it was."""
    before = pins(cluster)
    assert cluster.call("graveyard requeue --all").code == 0
    again = dispatch(cluster, server)
    assert again.code == 1
    assert again.output.count("did not build") >= 2, again.output
    assert pins(cluster) == before


def test_images_before_the_campaign_and_what_it_then_runs_with(cluster: Cluster, server: RegistryServer) -> None:
    cluster.campaign(REPEAT=1)
    cluster.dispatcher_settings(REGISTRY=server.address)
    (found,) = images(cluster, "--check")
    assert (found["state"], found["reference"]) == ("missing", None)
    assert found["message"].startswith("to be ")
    assert not cluster.workdir().exists()
    (found,) = images(cluster)
    assert found["state"] == "built"
    assert found["reference"].startswith(f"{server.address}/magma/steady/toy@sha256:")
    assert found["log"].startswith(f"{cluster.workdir()}/log/steady_toy_build_")
    (again,) = images(cluster, "--only", "steady/toy")
    assert again == found | {"state": "present", "message": ""}
    cluster.start_dispatcher(cluster.folder / "campaign.hjson", REGISTRY=server.address).await_output(OPENED)
    assert found["reference"].endswith(pin(cluster))
    cluster.kill("dispatcher")
    server.lose("magma/steady/toy")
    (lost,) = images(cluster, "--check")
    assert (lost["state"], lost["message"]) == ("missing", "to be pushed again")
    cluster.start_dispatcher(cluster.folder / "campaign.hjson", REGISTRY=server.address).await_output(
        "pushing it again"
    )
    start_workers(cluster, server)
    assert cluster.wait_for_end().code == 0
    assert found["reference"].endswith(pin(cluster))


def test_a_registry_that_is_away(cluster: Cluster) -> None:
    cluster.start_dispatcher(cluster.campaign(REPEAT=1), REGISTRY=NOWHERE)
    ended = cluster.wait_for_end()
    assert ended.code == 75
    assert f"the registry at {NOWHERE} does not answer" in ended.lines[-1]
    forget(cluster.lab.engine, NOWHERE)


def test_a_registry_that_is_away_keeps_no_result_from_coming(cluster: Cluster, server: RegistryServer) -> None:
    campaign = cluster.campaign(REPEAT=2)
    cluster.start_dispatcher(campaign, REGISTRY=server.address).await_output(OPENED)
    pinned = pin(cluster)
    worker = cluster.start_worker("w0", CPUS[0], REGISTRY=server.address, MAGMA=None)
    worker.await_output("ready with 1 CPU sets")
    cluster.kill("dispatcher")
    server.stop()
    try:
        cluster.start_dispatcher(campaign, REGISTRY=server.address)
        ended = cluster.wait_for_end()
    finally:
        server.start()
    assert ended.code == 0
    assert pin(cluster) == pinned
    said = [line for line in ended.lines if f"the registry at {server.address} does not answer" in line]
    assert len(said) == 1, ended.output
    assert "Results are fetched all the same" in said[0]


def test_one_side_alone(cluster: Cluster, server: RegistryServer) -> None:
    cluster.start_dispatcher(cluster.campaign(REPEAT=1), REGISTRY=server.address).await_output(OPENED)
    cluster.start_worker("w0", CPUS[0]).await_output("this worker's settings name none: add REGISTRY")
    cluster.start_worker("w1", CPUS[1], REGISTRY=NOWHERE, MAGMA=None).await_output(
        f"the registry at {NOWHERE} does not answer"
    )


@pytest.fixture
def tiny(docker_engine: DockerClient) -> Iterator[str]:
    """An image of one file, which nobody has a label on; its id."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    said = docker_engine.api.import_image_from_data(data.getvalue(), repository="magma-remote-tests/tiny")
    yield json.loads(said.splitlines()[-1])["status"]
    docker_engine.images.remove("magma-remote-tests/tiny")


def test_the_adapter(docker_engine: DockerClient, registry_server: RegistryServer, tiny: str) -> None:
    registry = DockerRegistry(DockerRunner(), registry_server.address)
    assert registry.manifests(tiny, "magma/a/b") == ()
    manifest = registry.push(tiny, "magma/a/b", "t")
    assert registry.manifests(tiny, "magma/a/b") == (manifest,)
    pinned = PinnedImage(fuzzer="a", target="b", manifest=manifest)
    other = PinnedImage(fuzzer="a", target="b", manifest=f"sha256:{'0' * 64}")
    assert (registry.has(pinned), registry.has(other)) == (True, False)
    forget(docker_engine, registry_server.address)
    lines: list[str] = []
    pulled = registry.pull(pinned, on_line=lines.append)
    assert (pulled.id, pulled.digest) == (tiny, "")
    assert lines
    with pytest.raises(RegistryError, match="has lost what it was asked for magma/a/b"):
        registry.pull(other, on_line=lines.append)
    forget(docker_engine, registry_server.address)


def test_all_that_a_registry_has_lost_comes_back_the_same(
    docker_engine: DockerClient, registry_server: RegistryServer, tiny: str
) -> None:
    runner = DockerRunner()
    registry = DockerRegistry(runner, registry_server.address)
    image = PinnedImage(fuzzer="a", target="b", manifest=registry.push(tiny, "magma/a/b", "t"))
    pin = PinEntry(image=image, recipe="0" * 64, uid=642, gid=642)
    restoring = Restoring(runner=runner, registry=registry, reporter=MemoryReporter(), alone=nullcontext)
    assert restoring.lost([pin]) == []
    registry_server.clear()
    assert restoring.lost([pin]) == [pin]
    assert restoring.restore([pin]) == {}
    assert restoring.lost([pin]) == []
    registry_server.clear()
    forget(docker_engine, registry_server.address)
    assert "nor on this machine any more" in restoring.restore([pin])["a", "b"]
    registry_server.stop()
    try:
        with pytest.raises(RegistryError, match="does not answer"):
            restoring.lost([pin])
    finally:
        registry_server.start()
