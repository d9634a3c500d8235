from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_remote.adapters.hjson_file import parse_hjson
from magma_remote.adapters.magma_tree import read_tree
from magma_remote.errors import ConfigError, UsageError
from magma_remote.model.configrc import programs_of, read_configrc
from tests.support.places import TREE

# What the nine targets of Magma v1.2 offer.
UPSTREAM = {
    "libpng": {"libpng_read_fuzzer": ""},
    "libsndfile": {"sndfile_fuzzer": "@@"},
    "libtiff": {"tiff_read_rgba_fuzzer": "", "tiffcp": "-M @@ tmp.out"},
    "libxml2": {"libxml2_xml_read_memory_fuzzer": "", "xmllint": "--valid --oldxml10 --push --memory @@"},
    "lua": {"lua": ""},
    "openssl": dict.fromkeys(["asn1", "asn1parse", "bignum", "server", "client", "x509"], ""),
    "php": dict.fromkeys(["json", "exif", "unserialize", "parser"], ""),
    "poppler": {"pdf_fuzzer": "", "pdfimages": "@@ /tmp/out", "pdftoppm": "-mono -cropbox @@"},
    "sqlite3": {"sqlite3_fuzz": ""},
}


def bash(programs: dict[str, str]) -> str:
    arguments = [f'{program}_ARGS="{args}"\n' for program, args in programs.items() if args]
    return f"PROGRAMS=({' '.join(programs)})\n\n{''.join(arguments)}"


@pytest.mark.parametrize("target", UPSTREAM)
def test_upstream_form(target: str) -> None:
    text = bash(UPSTREAM[target])
    assert read_configrc(text) == read_configrc(text.rstrip("\n")) == UPSTREAM[target]


@pytest.mark.skipif("MAGMA_TREE" not in os.environ, reason="MAGMA_TREE names no checkout of Magma")
def test_upstream_tree() -> None:
    tree = read_tree(Path(os.environ["MAGMA_TREE"]))
    assert {name: dict(target.programs) for name, target in tree.targets.items()} == UPSTREAM


@pytest.mark.parametrize(
    ("text", "programs"),
    [
        pytest.param("", {}, id="empty"),
        pytest.param("PROGRAMS=()", {}, id="none"),
        pytest.param("PROGRAMS=(\n a # first\n # between\n\n b\n)", {"a": "", "b": ""}, id="lines and comments"),
        pytest.param("PROGRAMS=('a' \"b\" c\\d)", {"a": "", "b": "", "cd": ""}, id="quotes"),
        pytest.param("PROGRAMS=(a \\\n b)", {"a": "", "b": ""}, id="continued line"),
        pytest.param("PROGRAMS=a", {"a": ""}, id="one text"),
        pytest.param("PROGRAMS='a b'", {"a": "", "b": ""}, id="a text that captain splits"),
        pytest.param("export PROGRAMS=(a)", {"a": ""}, id="export"),
        pytest.param("declare -a -x PROGRAMS=(a); declare -r a_ARGS=x", {"a": "x"}, id="declare"),
        pytest.param("PROGRAMS=(a b)\nPROGRAMS=(c)", {"c": ""}, id="the last one stands"),
        pytest.param("a_ARGS='@@ $x `y`'\nPROGRAMS=(a)", {"a": "@@ $x `y`"}, id="nothing expands in single quotes"),
        pytest.param('PROGRAMS=(a)\na_ARGS="\\"@@\\" \\$x 5$ \\n"', {"a": '"@@" $x 5$ \\n'}, id="escapes"),
        pytest.param("PROGRAMS=(a)\na_ARGS=-x\\ @@", {"a": "-x @@"}, id="escaped blank"),
        pytest.param('PROGRAMS=(a)\na_ARGS="-x \\\n@@"', {"a": "-x @@"}, id="continued inside quotes"),
        pytest.param("PROGRAMS=(a)\na_ARGS=*.txt", {"a": "*.txt"}, id="no pattern in a scalar"),
        pytest.param("PROGRAMS=(a)\na_ARGS='-x'\"@@\"#", {"a": "-x@@#"}, id="joined quotations"),
        pytest.param("PROGRAMS=(a)\na_ARGS=", {"a": ""}, id="empty arguments"),
        pytest.param("#!/bin/bash\nset -e\nPROGRAMS=(a)\necho done", {"a": ""}, id="harmless commands"),
        pytest.param("if true; then X=1; fi\nPROGRAMS=(a)", {"a": ""}, id="after a block"),
        pytest.param("f() { X=1; }\nPROGRAMS=(a)", {"a": ""}, id="after a function"),
        pytest.param("case x in a) X=1;; *) X=2;; esac\nPROGRAMS=(a)", {"a": ""}, id="after a case"),
        pytest.param("X=$(ls) Y=`ls` PROGRAMS=(a)", {"a": ""}, id="others may be computed"),
        pytest.param("\t PROGRAMS=(a)\t\n", {"a": ""}, id="blanks"),
    ],
)
def test_read(text: str, programs: dict[str, str]) -> None:
    assert read_configrc(text) == programs


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("\nPROGRAMS=($(ls))", 2, 'without running Bash: "$(ls)"', id="command"),
        pytest.param("PROGRAMS=(a `ls` b)", 1, '"`ls`"', id="backquotes"),
        pytest.param("PROGRAMS=(a ${x} b)", 1, '"${x}"', id="variable"),
        pytest.param('PROGRAMS=("a$x")', 1, '"$x"', id="variable in quotes"),
        pytest.param("PROGRAMS=(a)\nPROGRAMS+=(b)", 2, '"PROGRAMS+="', id="appended"),
        pytest.param("PROGRAMS[1]=b", 1, "PROGRAMS[1]", id="one element"),
        pytest.param("PROGRAMS=(a*)", 1, '"*"', id="pattern"),
        pytest.param("PROGRAMS=({a,b})", 1, '"{"', id="braces"),
        pytest.param("PROGRAMS=(~/a)", 1, '"~"', id="home"),
        pytest.param("declare -A PROGRAMS=(a)", 1, '"-A"', id="associative"),
        pytest.param("if x; then\n  PROGRAMS=(a)\nfi", 2, '"inside if"', id="inside if"),
        pytest.param("f() {\n  PROGRAMS=(a)\n}", 2, '"inside {"', id="inside a function"),
        pytest.param("(PROGRAMS=(a))", 1, '"inside ("', id="inside a subshell"),
        pytest.param("case x in\n  y) PROGRAMS=(a);;\nesac", 2, '"inside case"', id="inside a case"),
        pytest.param("test x && PROGRAMS=(a)", 1, '"joined by &&"', id="conditional"),
        pytest.param("PROGRAMS=(a) | cat", 1, '"joined by |"', id="piped"),
        pytest.param("source ../common\nPROGRAMS=(a)", 1, "may be changed by the command", id="source"),
        pytest.param("PROGRAMS=(a)\nunset PROGRAMS", 2, "may be changed by the command", id="unset"),
        pytest.param("PROGRAMS=(a) make", 1, "may be changed by the command", id="a command's own variable"),
        pytest.param("PROGRAMS=(a\nb", 1, "a list that has no closing )", id="open list"),
        pytest.param("PROGRAMS=(a)\nX='a", 2, "no closing '", id="open quotation"),
        pytest.param('X="a', 1, 'no closing "', id="open double quotation"),
        pytest.param("X=${a", 1, "no closing }", id="open expansion"),
        pytest.param("X=`a", 1, "no closing `", id="open command"),
        pytest.param("cat <<END\nPROGRAMS=(a)\nEND", 1, "here-document", id="here-document"),
        pytest.param("PROGRAMS=(a)\n)", 2, "a ) that Bash does not take here", id="stray bracket"),
        pytest.param("PROGRAMS=a(b)", 1, "a ( that Bash does not take here", id="bracket in a word"),
        pytest.param("PROGRAMS=(a)b", 1, "text right behind its )", id="text behind a list"),
        pytest.param("PROGRAMS=(a)\n(\nX=1", 3, "a ( that no ) closes", id="open bracket"),
        pytest.param("PROGRAMS=(a)\nif x\nthen", 3, "a if that no fi closes", id="open if"),
        pytest.param("PROGRAMS=(a/b)", 1, 'found "a/b"', id="path"),
        pytest.param("PROGRAMS=(a a)", 1, "a is listed twice", id="twice"),
        pytest.param("PROGRAMS=(a)\na_ARGS=(x y)", 2, "a_ARGS: found", id="list of arguments"),
        pytest.param("PROGRAMS=(a)\na_ARGS='x\ny'", 2, "one line of text", id="two lines of arguments"),
        pytest.param("PROGRAMS=(a)\na_ARGS=$x", 2, "a_ARGS: cannot be known", id="arguments computed"),
        pytest.param("PROGRAMS=(a)\na_ARGS=$'x'", 2, "a_ARGS: cannot be known", id="ANSI-C quotes"),
        pytest.param("X=1\r\nPROGRAMS=(a)", 1, "Windows line ends", id="windows lines"),
    ],
)
def test_not_guessed(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_configrc(text)
    assert [problem.line for problem in caught.value.problems] == [line]
    assert says in str(caught.value)


MARKS = [
    "PROGRAMS",
    "=",
    "(",
    ")",
    '"',
    "'",
    "$",
    "{",
    "}",
    "`",
    "\\",
    "#",
    "\n",
    " ",
    ";",
    "&&",
    "if",
    "fi",
    "a_ARGS",
    "+",
]


@given(st.lists(st.sampled_from(MARKS) | st.characters(codec="utf-8")).map("".join))
def test_any_text(text: str) -> None:
    try:
        programs = read_configrc(text)
    except ConfigError:
        return
    assert all(isinstance(args, str) for args in programs.values())


WORD = st.text(st.characters(min_codepoint=32, max_codepoint=126))


@given(WORD)
def test_double_quotes_round_trip(args: str) -> None:
    quoted = "".join(f"\\{c}" if c in '\\"$`' else c for c in args)
    assert read_configrc(f'PROGRAMS=(a)\na_ARGS="{quoted}"') == {"a": args}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        pytest.param("other: 1", None, "programs: missing", id="missing"),
        pytest.param("programs: [a]\n]", 1, "found a list", id="list"),
        pytest.param('programs: {\n  a: ["x"]\n}', 2, "programs a: found a list", id="arguments are a list"),
        pytest.param('programs: {\n  a: ""\n  a: ""\n}', 3, "programs a: given twice", id="twice"),
        pytest.param('programs: {\n  "a/b": ""\n}', 2, 'programs "a/b": no usable name', id="path"),
    ],
)
def test_hjson_refused(text: str, line: int | None, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        programs_of(parse_hjson(text.encode()))
    assert caught.value.problems[0].line == line
    assert says in str(caught.value)


def test_tree() -> None:
    tree = read_tree(TREE)
    assert tree.fuzzers == ("afl", "afl_asan", "aflfast", "aflplusplus", "honggfuzz")
    assert {name: dict(tree.programs(name)) for name in tree.targets} == {
        name: UPSTREAM[name] for name in ("libpng", "libtiff", "libxml2", "poppler")
    }


def test_no_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no docker/Dockerfile, no magma, no fuzzers, no targets"):
        read_tree(tmp_path)


def test_fuzzers_is_a_file(tmp_path: Path) -> None:
    for folder in ("docker", "magma", "targets"):
        (tmp_path / folder).mkdir()
    for file in ("docker/Dockerfile", "fuzzers"):
        (tmp_path / file).touch()
    with pytest.raises(UsageError, match="cannot be read as a Magma tree"):
        read_tree(tmp_path)
