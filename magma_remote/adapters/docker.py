"""Docker Engine behind the `Runner` protocol, through Docker's own SDK."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import docker
import requests
import urllib3.exceptions
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Mount
from docker.utils import kwargs_from_env, parse_repository_tag

from magma_remote.adapters.docker_answers import built_image, log_line, machine
from magma_remote.errors import EngineError, EngineGoneError
from magma_remote.model.container import SHARED, listed
from magma_remote.model.image import BASES_LABEL, DIGEST_LABEL
from magma_remote.ports import LogLine, Owned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from magma_remote.model.container import ContainerSpec
    from magma_remote.model.cpus import CpuSet
    from magma_remote.model.image import Recipe
    from magma_remote.model.machine import Machine

ANSWER_SECONDS = 60
_CONFLICT = 409
_WHOLE_LOG = {"max-size": "1024g", "max-file": "2", "compress": "false"}  # json-file takes no "unlimited"
_HINT = "`docker info` tells whether the engine runs and whether you may use it; `make setup` starts one"


@contextmanager
def engine_errors(doing: str) -> Iterator[None]:
    """Every error of the SDK becomes an EngineError that says what was being done."""
    try:
        yield
    except APIError as error:
        raise EngineError(f"Docker Engine refused {doing}: {error.explanation or error}") from error
    except (DockerException, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise EngineGoneError(f"Docker Engine did not answer {doing}: {error}; {_HINT}") from error


class DockerRunner:
    """The engine that `DOCKER_HOST` or the default socket names, which must be on this machine.

    Each thread has a client of its own: a `wait` of days blocks one connection and nothing else.
    """

    def __init__(self) -> None:
        self._environment: dict[str, Any] = dict(kwargs_from_env())
        self._local = threading.local()
        self._version = "auto"
        url = self._environment.get("base_url", "")
        if url and not url.startswith(("unix://", "http+unix://")):
            raise EngineError(
                f"DOCKER_HOST is {url}: CPUs are pinned by this machine's numbers, so the engine must be "
                "on this machine; unset DOCKER_HOST"
            )

    @property
    def api(self) -> docker.APIClient:
        """The calling thread's client."""
        if not hasattr(self._local, "api"):
            self._local.api = docker.APIClient(version=self._version, timeout=ANSWER_SECONDS, **self._environment)
            self._version = self._local.api.api_version
        api: docker.APIClient = self._local.api
        return api

    def check(self) -> None:
        """See `Runner.check`."""
        with engine_errors("a look at it"):
            facts = self.api.info()
        options = " ".join(facts.get("SecurityOptions") or ())
        if "name=rootless" in options or "name=userns" in options:
            raise EngineError(
                "Docker Engine maps users (rootless or userns-remap): a trial's files would belong to nobody here, and "
                "could not be archived; use an engine without (`docker context ls` lists those that you have)"
            )
        if facts.get("CPUSet") is False:
            raise EngineError("Docker Engine cannot pin containers to CPUs here: the cpuset cgroup is missing")

    def machine(self) -> Machine:
        """See `Runner.machine`."""
        with engine_errors("about its machine"):
            facts = self.api.info()
        return machine(facts)

    def bases(self, image: str) -> tuple[str, ...]:
        """See `Runner.bases`."""
        with engine_errors(f"for image {image}"):
            labels = (self.api.inspect_image(image).get("Config") or {}).get("Labels") or {}
        return tuple(labels.get(BASES_LABEL, "").split())

    def image_id(self, name: str) -> str | None:
        """See `Runner.image_id`."""
        with engine_errors(f"for image {name}"):
            try:
                return str(self.api.inspect_image(name)["Id"])
            except ImageNotFound:
                return None

    def pull(self, name: str) -> str:
        """See `Runner.pull`."""
        repository, tag = parse_repository_tag(name)
        with engine_errors(f"to pull {name}"):
            answers = list(self.api.pull(repository, tag=tag or "latest", stream=True, decode=True))
        for answer in answers:
            if "error" in answer:
                raise EngineError(f"Docker Engine could not pull {name}: {answer['error']}")
        found = self.image_id(name)
        if found is None:
            raise EngineError(f"Docker Engine pulled {name}, yet has no such image")
        return found

    def find(self, recipe: Recipe) -> str | None:
        """See `Runner.find`. Labels alone would not do: an image made FROM one of ours has them too."""
        with engine_errors(f"for image {recipe.tag}"):
            try:
                image = self.api.inspect_image(recipe.tag)
            except ImageNotFound:
                return None
        labels = image["Config"].get("Labels") or {}
        return str(image["Id"]) if labels.get(DIGEST_LABEL) == recipe.digest else None

    def build(self, recipe: Recipe, context: Path, *, cpus: CpuSet, on_line: Callable[[str], None]) -> str:
        """See `Runner.build`. Leaving it by an exception closes the connection, which ends the build."""
        doing = f"to build {recipe.name}"
        with context.open("rb") as tar, engine_errors(doing):
            answers = self.api.build(
                fileobj=tar,
                custom_context=True,
                dockerfile="docker/Dockerfile",
                tag=recipe.tag,
                buildargs=dict(recipe.build_args),
                labels=recipe.labels,
                container_limits={"cpusetcpus": listed(cpus)},
                rm=True,
                forcerm=True,
                decode=True,
            )
        image = built_image(guarded(answers, doing), recipe, on_line)
        with engine_errors(doing):
            self.api.tag(image, recipe.name, "latest")
        return image

    def create(self, spec: ContainerSpec) -> str:
        """See `Runner.create`."""
        with engine_errors("to create a container"):
            host = self.api.create_host_config(
                mounts=[Mount(SHARED, str(spec.shared), type="bind")],
                cpuset_cpus=listed(spec.cpus),
                network_mode="none",
                cap_add=["SYS_PTRACE"],
                security_opt=["seccomp=unconfined"],
                # The launched and terminated lines are read back: a driver without logs would lose them.
                # A log that the daemon's own options would rotate loses the launched line first.
                log_config=LogConfig(type="json-file", config=_WHOLE_LOG),
            )
            created = self.api.create_container(
                spec.image,
                host_config=host,
                entrypoint=list(spec.command) if spec.command else None,
                environment=dict(spec.environment),
                labels=dict(spec.labels),
                network_disabled=True,
            )
        self._refuse_unpinned(created)
        return str(created["Id"])

    def _refuse_unpinned(self, created: dict[str, Any]) -> None:
        """An engine that cannot pin says so in a warning, and would run the trial anywhere."""
        for warning in created.get("Warnings") or ():
            if "cpuset" in warning.lower():
                self.remove(created["Id"])
                raise EngineError(f"Docker Engine would not pin the container to its CPUs: {warning}")

    def start(self, container: str) -> None:
        """See `Runner.start`."""
        with engine_errors("to start a container"):
            self.api.start(container)

    @contextmanager
    def lines(self, container: str, *, follow: bool) -> Iterator[Iterator[LogLine]]:
        """See `Runner.lines`."""
        with engine_errors("for a container's output"):
            stream = self.api.logs(container, stream=True, follow=follow, timestamps=True)
            try:
                yield (log_line(frame) for frame in stream)
            finally:
                stream.close()

    def wait(self, container: str) -> None:
        """See `Runner.wait`."""
        with engine_errors("to wait for a container"):
            self.api.wait(container)

    def execute(self, container: str, script: str) -> Iterator[bytes]:
        """See `Runner.execute`."""
        with engine_errors("to run a script in a container"):
            created = self.api.exec_create(container, ["bash", "-c", script], stderr=False)
            with closing(self.api.exec_start(created["Id"], stream=True)) as stream:
                yield from stream
            code = self.api.exec_inspect(created["Id"])["ExitCode"]
        if code != 0:
            raise EngineError(f"a script in the container ended with exit code {code}")

    def kill(self, container: str) -> None:
        """See `Runner.kill`."""
        with engine_errors("to end a container"), _already(_CONFLICT):
            self.api.kill(container)

    def remove(self, container: str) -> None:
        """See `Runner.remove`."""
        with engine_errors("to remove a container"), _already(_CONFLICT):
            self.api.remove_container(container, force=True, v=True)

    def owned(self, label: str) -> tuple[Owned, ...]:
        """See `Runner.owned`."""
        with engine_errors("for its containers"):
            found = self.api.containers(all=True, filters={"label": label})
        return tuple(Owned(id=item["Id"], labels=item["Labels"]) for item in found)


@contextmanager
def _already(*statuses: int) -> Iterator[None]:
    """Pass over the answers that say that there is nothing left to do."""
    try:
        yield
    except NotFound:
        return
    except APIError as error:
        if error.status_code not in statuses:
            raise


def guarded(answers: Iterator[dict[str, Any]], doing: str) -> Iterator[dict[str, Any]]:
    """Map the engine's errors alone: what the caller does with an answer is not the engine's fault."""
    while True:
        with engine_errors(doing):
            try:
                answer = next(answers)
            except StopIteration:
                return
        yield answer
