"""What a Dockerfile takes from outside: nothing that it uses is missed, little that it does not use is taken."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.model.campaign import Campaign, CanaryMode
from magma_remote.model.image import Recipe, build_args, sources
from magma_remote.model.units import Duration
from tests.support.places import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping

ARGS = {"fuzzer_name": "afl", "target_name": "libpng", "USER_ID": "1000", "GROUP_ID": "1000"}

UPSTREAM = """\
FROM ubuntu:18.04
# COPY . everything
ARG magma_root=./
ENV MAGMA_R /magma
ENV OUT		/magma_out
RUN mkdir -p /home && \\
	groupadd magma && \\
	chown magma:magma /home
ARG magma_path=magma
ENV MAGMA 	${MAGMA_R}/${magma_path}
COPY --chown=magma:magma ${magma_root}/${magma_path} ${MAGMA}/
RUN ${MAGMA}/preinstall.sh
ARG fuzzer_name
ARG fuzzer_path=fuzzers/${fuzzer_name}
ENV FUZZER 	${MAGMA_R}/${fuzzer_path}
COPY --chown=magma:magma ${magma_root}/${fuzzer_path} ${FUZZER}/
ARG target_name
ARG target_path=targets/${target_name}
ENV TARGET 	${MAGMA_R}/${target_path}
COPY --chown=magma:magma ${magma_root}/${target_path} ${TARGET}/
ARG canaries
ARG CANARIES_FLAG=${canaries:+-DMAGMA_ENABLE_CANARIES}
ENTRYPOINT "${MAGMA}/run.sh"
"""
PARTS = ("docker", "fuzzers/afl", "magma", "targets/libpng")


def test_upstreams_way() -> None:
    found = sources(UPSTREAM, ARGS)
    assert found.paths == PARTS
    assert found.base_images == ("ubuntu:18.04",)


def test_the_example_tree() -> None:
    found = sources((EXAMPLES / "magma/docker/Dockerfile").read_text(), ARGS)
    assert found.paths == PARTS
    assert found.base_images == ("debian:bookworm",)


def test_a_real_tree() -> None:
    if "MAGMA_TREE" not in os.environ:
        pytest.skip("MAGMA_TREE names no Magma tree")
    assert sources((Path(os.environ["MAGMA_TREE"]) / "docker/Dockerfile").read_text(), ARGS).paths == PARTS


@pytest.mark.parametrize(
    ("lines", "paths"),
    [
        pytest.param("COPY magma /m", ["magma"], id="plain"),
        pytest.param("copy magma /m", ["magma"], id="lower-case"),
        pytest.param("ADD magma/run.sh magma/x.sh /m/", ["magma/run.sh", "magma/x.sh"], id="two-sources"),
        pytest.param("COPY --chown=a:b --chmod=755 magma /m", ["magma"], id="flags"),
        pytest.param('COPY ["magma", "/m"]', ["magma"], id="json"),
        pytest.param('COPY --chown=a:b ["magma","fuzzers/afl","/m/"]', ["fuzzers/afl", "magma"], id="json-flags"),
        pytest.param('COPY ["my seeds", "/m/"]', ["my seeds"], id="json-with-a-space"),
        pytest.param('COPY "magma" /m', ["magma"], id="quoted"),
        pytest.param("COPY /magma/ /m", ["magma"], id="slashes"),
        pytest.param("COPY ./magma/../magma /m", None, id="dots"),
        pytest.param("COPY . /m", None, id="whole-tree"),
        pytest.param("COPY ./ /m", None, id="whole-tree-slash"),
        pytest.param("COPY / /m", None, id="whole-tree-root"),
        pytest.param("COPY * /m", None, id="glob-at-the-top"),
        pytest.param("COPY f?zzers /m", None, id="glob-of-one-at-the-top"),
        pytest.param("COPY [mf]* /m", None, id="glob-class-at-the-top"),
        pytest.param("COPY magma/*.sh /m", ["magma"], id="glob"),
        pytest.param("COPY fuzzers/a?l/x /m", ["fuzzers"], id="glob-of-one"),
        pytest.param("COPY fuzzers/[ab]fl /m", ["fuzzers"], id="glob-class"),
        pytest.param("COPY fuzzers/*/common /m", ["fuzzers"], id="glob-in-the-middle"),
        pytest.param("COPY --from=build /out /m", [], id="from-a-stage"),
        pytest.param("COPY --chown=a:b --from=build /out /m", [], id="from-after-a-flag"),
        pytest.param("ADD https://example.com/x.tar /m", [], id="url"),
        pytest.param("ADD git@example.com:x.git /m", [], id="git"),
        pytest.param("COPY magma \\\n  fuzzers/afl \\\n  /m/", ["fuzzers/afl", "magma"], id="continued"),
        pytest.param("COPY magma \\\n# why\n  fuzzers/afl /m/", ["fuzzers/afl", "magma"], id="comment-inside"),
        pytest.param("RUN echo \\\nCOPY fuzzers /m", [], id="continuation-is-no-instruction"),
        pytest.param("RUN <<EOF\nCOPY fuzzers /m\nEOF\nCOPY magma /m", ["magma"], id="heredoc"),
        pytest.param("COPY <<EOF /etc/x\nCOPY fuzzers /m\nEOF\nCOPY magma /m", ["magma"], id="copied-heredoc"),
        pytest.param("ARG p=magma\nCOPY $p /m", ["magma"], id="bare-variable"),
        pytest.param("ARG p\nCOPY ${p:-magma} /m", ["magma"], id="default"),
        pytest.param("ARG p=x\nCOPY ${p:-magma} /m", ["x"], id="default-not-needed"),
        pytest.param("ARG p=x\nCOPY mag${p:+ma} /m", ["magma"], id="other"),
        pytest.param('ARG p="magma"\nCOPY ${p} /m', ["magma"], id="quoted-default"),
        pytest.param("ENV a=magma b='fuzzers/afl'\nCOPY $a ${b} /m/", ["fuzzers/afl", "magma"], id="env-pairs"),
        pytest.param("ENV a magma\nCOPY $a /m", ["magma"], id="env-blank"),
        pytest.param("ARG fuzzer_name=x\nCOPY fuzzers/$fuzzer_name /m", ["fuzzers/afl"], id="build-arg-wins"),
    ],
)
def test_paths(lines: str, paths: list[str] | None) -> None:
    expected = (".",) if paths is None else tuple(sorted(["docker", *paths]))
    assert sources(f"FROM scratch\n{lines}\n", ARGS).paths == expected


@pytest.mark.parametrize(
    ("lines", "args", "bases"),
    [
        pytest.param("FROM debian", {}, ["debian"], id="one"),
        pytest.param("FROM --platform=linux/amd64 debian:12", {}, ["debian:12"], id="platform"),
        pytest.param("FROM a AS x\nFROM b\nFROM x", {}, ["a", "b"], id="stages"),
        pytest.param("FROM a as Build\nFROM build", {}, ["a"], id="stages-in-any-case"),
        pytest.param("FROM scratch", {}, [], id="scratch"),
        pytest.param("ARG BASE_IMAGE=debian:12\nFROM ${BASE_IMAGE}", {}, ["debian:12"], id="default"),
        pytest.param("ARG BASE_IMAGE=a\nFROM ${BASE_IMAGE}", {"BASE_IMAGE": "b:1"}, ["b:1"], id="overridden"),
        pytest.param("ARG V=12\nFROM debian:$V AS x", {}, ["debian:12"], id="part"),
        pytest.param("FROM host:5000/debian@sha256:12ab", {}, ["host:5000/debian@sha256:12ab"], id="registry"),
    ],
)
def test_base_images(lines: str, args: Mapping[str, str], bases: list[str]) -> None:
    assert list(sources(lines, args).base_images) == bases


def test_an_argument_from_before_from_keeps_its_default() -> None:
    text = "ARG part=magma\nFROM debian\nARG part\nCOPY ${part} /m\n"
    assert sources(text, {}).paths == ("docker", "magma")


@given(st.text(alphabet="COPYADFROMENVRG =$[]{}\"'\\\n#<-:+*./ab", max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert sources(text, ARGS).paths


@pytest.mark.parametrize(
    ("settings", "extra"),
    [
        pytest.param({}, {"canaries": "1"}, id="canaries"),
        pytest.param({"canary_mode": CanaryMode.BARE}, {}, id="bare"),
        pytest.param({"canary_mode": CanaryMode.FIXES}, {"fixes": "1"}, id="fixes"),
        pytest.param({"isan": True, "harden": True}, {"canaries": "1", "isan": "1", "harden": "1"}, id="flags"),
    ],
)
def test_build_arguments_are_captains(settings: dict[str, Any], extra: dict[str, str]) -> None:
    campaign = Campaign(repeat=1, fuzzers=("afl",), targets=("libpng",), timeout=Duration.parse("1m"), **settings)
    assert dict(build_args(campaign, "afl", "libpng", uid=1000, gid=1000)) == ARGS | extra


def test_names_of_an_image() -> None:
    recipe = Recipe(fuzzer="AFL", target="libPNG", build_args={}, digest="0123456789abcdef0123")
    assert recipe.name == "magma/afl/libpng"
    assert recipe.tag == "magma/afl/libpng:0123456789abcdef"
    assert recipe.labels["magma-remote.digest"] == recipe.digest
