from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.errors import ConfigError
from magma_remote.model.campaign_file import read_campaign
from magma_remote.model.captainrc_import import Imported, import_captainrc
from tests.support.places import DATA, TREE

KNOWN = read_tree(TREE)
MINIMAL = "REPEAT=1\nFUZZERS=(afl afl_asan)\nMAGMA=/magma\n"


def imported(text: str, *, tree: bool = True) -> Imported:
    return import_captainrc(text, tree=KNOWN if tree else None)


def added(text: str, *, tree: bool = True) -> str:
    """What a line adds to a minimal file."""
    result = imported(MINIMAL + text, tree=tree).text
    return result.removeprefix(imported(MINIMAL).text)


def test_whole_file() -> None:
    text = (DATA / "captainrc").read_text(encoding="utf-8")
    result = imported(text)
    assert result.text == (DATA / "captainrc.hjson").read_text(encoding="utf-8")
    assert result.warnings == (
        "6: WORKDIR is not part of a campaign file: give --workdir ./workdir",
        "25: ISAN=0 switches it on: captain asks only whether it is set",
        "48: EMAIL is not known to captain or to a campaign file",
        "1: MAGMA is not set: add it to the campaign file, or give --magma DIR to each command",
    )
    campaign = read_campaign(parse_hjson(result.text.encode()), tree=KNOWN)
    assert campaign.overridden_targets == {"afl": ("libpng", "libtiff"), "honggfuzz": ("poppler",)}
    assert campaign.fuzzargs == {"afl,libpng": "-x /magma_shared/png.dict"}


@pytest.mark.skipif("MAGMA_TREE" not in os.environ, reason="MAGMA_TREE names no checkout of Magma")
def test_upstream_file() -> None:
    root = Path(os.environ["MAGMA_TREE"])
    text = (root / "tools/captain/captainrc").read_text(encoding="utf-8")
    campaign = read_campaign(parse_hjson(imported(text, tree=False).text.encode()), tree=read_tree(root))
    assert (campaign.repeat, campaign.timeout.text, campaign.poll) == (3, "24h", 5)
    assert campaign.fuzzers == ("afl", "aflfast", "moptafl", "aflplusplus", "fairfuzz", "honggfuzz")
    assert len(campaign.targets) == 9


@pytest.mark.parametrize(
    ("line", "result"),
    [
        pytest.param("ISAN=1", "ISAN: true", id="set"),
        pytest.param("ISAN=0", "ISAN: true", id="0 counts as set"),
        pytest.param("ISAN=", "ISAN: false", id="empty counts as not set"),
        pytest.param('WORKER_POOL="1 3  5"', "WORKER_POOL: [1, 3, 5]", id="pool"),
        pytest.param("TIMEOUT=24h # a day", '# a day\nTIMEOUT: "24h"', id="comment after it"),
        pytest.param("export POLL=7", "POLL: 7", id="export"),
        pytest.param("POLL=", "# POLL=", id="empty"),
        pytest.param("POLL=$X", "# POLL=$X", id="computed"),
        pytest.param("TARGETS=(libpng)", "# TARGETS=(libpng)", id="captain has no TARGETS"),
        pytest.param("libpng_PROGRAMS=(x)", "# libpng_PROGRAMS=(x)", id="captain has no target_PROGRAMS"),
        pytest.param("zzuf_TARGETS=(libpng)", "# zzuf_TARGETS=(libpng)", id="fuzzer not listed"),
        pytest.param("DEFAULT_CAMPAIGN_WORKERS=2", "CAMPAIGN_WORKERS: 2", id="default workers"),
        pytest.param("x y z", "# x y z", id="command"),
        pytest.param("FOO='a\nb'", "# FOO='a\n# b'", id="two lines"),
        pytest.param("# POLL=7", "# POLL: 7", id="commented out"),
        pytest.param("#ISAN=1", "# ISAN: true", id="commented out without a blank"),
        pytest.param("# afl_TARGETS=(a b)", '# OVERRIDDEN_TARGETS: { "afl": ["a", "b"] }', id="commented-out member"),
        pytest.param("# FOO=1", "# FOO=1", id="commented-out unknown"),
        pytest.param("# see X=1 and Y", "# see X=1 and Y", id="prose"),
        pytest.param("# FUZZERS=(a", "# FUZZERS=(a", id="commented-out half"),
        pytest.param("# a\rISAN: 1", "# a ISAN: 1", id="no escape from a comment"),
        pytest.param('afl_CAMPAIGN_WORKERS="2"', 'FUZZER_CAMPAIGN_WORKERS: {\n  "afl": 2\n}', id="fuzzer's workers"),
    ],
)
def test_settings(line: str, result: str) -> None:
    assert added(line).strip("\n") == result


@pytest.mark.parametrize("tree", [True, False], ids=["tree", "no tree"])
@pytest.mark.parametrize(
    ("line", "members"),
    [
        pytest.param("afl_libtiff_PROGRAMS=(tiffcp)", ['"afl,libtiff": ["tiffcp"]'], id="plain"),
        pytest.param("afl_asan_libtiff_PROGRAMS=(tiffcp)", ['"afl_asan,libtiff": ["tiffcp"]'], id="underscore"),
        pytest.param("afl_libpng_FUZZARGS='-x y'", ['"afl,libpng": "-x y"'], id="arguments"),
        pytest.param("libpng_FUZZARGS=-a", ['"afl,libpng": "-a"', '"afl_asan,libpng": "-a"'], id="target alone"),
        pytest.param(
            "DEFAULT_libpng_FUZZARGS=-a", ['"afl,libpng": "-a"', '"afl_asan,libpng": "-a"'], id="default of a target"
        ),
    ],
)
def test_names_are_split_by_fuzzers(line: str, members: list[str], *, tree: bool) -> None:
    assert [text.strip() for text in added(line, tree=tree).strip().splitlines()[1:-1]] == members


def test_a_target_that_a_fuzzer_does_not_run_gets_no_arguments() -> None:
    text = added("afl_TARGETS=(libtiff)\nlibpng_FUZZARGS=-a\nafl_asan_libpng_FUZZARGS=-b\n")
    assert '"afl,libpng"' not in text
    assert text.count('"afl_asan,libpng"') == 1


def test_later_members_join_the_object_with_their_comments() -> None:
    text = added("# one\nafl_TARGETS=(libpng)\n\n# two\nafl_asan_TARGETS=(libtiff)\n")
    assert text.strip("\n") == (
        '# one\nOVERRIDDEN_TARGETS: {\n  "afl": ["libpng"]\n  # two\n  "afl_asan": ["libtiff"]\n}'
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("WORKERS=2\nWORKER_POOL=1", "WORKERS is left out", id="workers beside a pool"),
        pytest.param("WORKERS=2\nWORKER_MODE=2", "WORKERS counts logical CPUs here", id="workers in another mode"),
        pytest.param("POLL=1\nPOLL=2", "POLL is left out: line 5 sets it again", id="set twice"),
        pytest.param("if x; then POLL=1; fi", "POLL cannot be known without running Bash (inside if)", id="block"),
        pytest.param("afl_libtiff_tiffcp_ARGS=x", "belong into the target's configrc", id="arguments of a program"),
        pytest.param("MAGMA=../magma", "is now looked up from the campaign file's folder", id="relative tree"),
        pytest.param("set -e", 'the command "set -e" is not run', id="command"),
        pytest.param("WORKER_POOL='a b'", "WORKER_POOL is no list of CPU numbers", id="pool"),
    ],
)
def test_warnings(text: str, says: str) -> None:
    assert any(says in warning for warning in imported(MINIMAL + text).warnings)


def test_magma_option() -> None:
    assert import_captainrc("REPEAT=1\n", magma="/a b").text == 'REPEAT: 1\n\nMAGMA: "/a b"\n'
    assert import_captainrc("FUZZERS=(a)\na_TARGETS=(b)", magma="/m").text.endswith('  "a": ["b"]\n}\n\nMAGMA: "/m"\n')
    assert "/a b" not in import_captainrc(MINIMAL, magma="/a b").text


def test_no_bash() -> None:
    with pytest.raises(ConfigError, match="line 2: a quotation that has no closing"):
        imported('REPEAT=1\nTIMEOUT="1m\n')


MARKS = ["afl", "_", "TARGETS", "FUZZARGS", "=", "(", ")", '"', "'", "$", "#", "\n", "\r", " ", ";", "{", "}", "[", "1"]


@given(st.lists(st.sampled_from(MARKS) | st.characters(codec="utf-8")).map("".join), st.booleans())
def test_whatever_is_imported_is_hjson(text: str, tree: bool) -> None:
    text = text.replace("\0", "")
    try:
        result = imported(MINIMAL + text, tree=tree)
    except ConfigError:
        return
    document = parse_hjson(result.text.encode())
    assert {"REPEAT", "FUZZERS", "MAGMA"} & {key for key, _ in document.pairs}
