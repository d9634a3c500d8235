from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from magma_remote.adapters.hjson_file import parse_hjson, read_hjson
from magma_remote.adapters.text_file import MOST_BYTES
from magma_remote.errors import ConfigError
from magma_remote.model.document import Node, Table

LINES = b"""# 1
{ first: 1
  "second" # why
    : /* 4
    5 */ two words
  third: [
    "x", y
    z
  ] fourth: { inner: '''
    text
    ''' }, fifth: null
}
"""


def test_every_value_knows_its_line() -> None:
    members = dict(parse_hjson(LINES).pairs)
    assert {key: (node.line, node.value_line) for key, node in members.items()} == {
        "first": (2, 2),
        "second": (3, 5),
        "third": (6, 6),
        "fourth": (9, 9),
        "fifth": (11, 11),
    }
    third = members["third"].value
    assert isinstance(third, tuple)
    assert [(item.value, item.line, item.quoted) for item in third] == [
        ("x", 7, True),
        ("y", 7, False),
        ("z", 8, False),
    ]
    assert members["second"].value == "two words"
    fourth = members["fourth"].value
    assert isinstance(fourth, Table)
    assert fourth.pairs == (("inner", Node(value="text", line=9, value_line=9)),)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"a": [1, 2.5, "x"]}', [1, 2.5, "x"], id="json"),
        pytest.param("a: 1e3", 1000, id="exponent"),
        pytest.param("a: '''x'''", "x", id="multi-line text on one line"),
        pytest.param("\ufeffa: true", True, id="byte order mark"),
        pytest.param("a: false // no", False, id="comment after a boolean"),
        pytest.param("a:\r\n  x\r\n", "x", id="windows lines"),
    ],
)
def test_values(text: str, value: object) -> None:
    node = dict(parse_hjson(text.encode()).pairs)["a"]
    plain = [item.value for item in node.value] if isinstance(node.value, tuple) else node.value
    assert plain == value


FRAGMENTS = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "a",
    "'''",
    '"',
    "'",
    "\\",
    "#",
    "//",
    "/*",
    "*/",
    "\n",
    " ",
    "1e999",
    "null",
]


def accepts_or_refuses(data: bytes) -> None:
    try:
        assert isinstance(parse_hjson(data, source="f"), Table)
    except ConfigError as error:
        assert str(error).startswith("f:")  # noqa: PT017 - either way is right


@given(st.binary())
@example(b"/*")
@example(b"a: '''")
@example(b"a: '''x''")
@example(b"a: " + b"9" * 5000)
@example(b"[" * 10_000)
@example(b"a: 1e999")
@example(b'"\\ud800": 1')
def test_any_bytes(data: bytes) -> None:
    accepts_or_refuses(data)


@given(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3)).map("".join))
@settings(max_examples=500)
def test_any_text_of_its_own_marks(text: str) -> None:
    accepts_or_refuses(text.encode("utf-8", "surrogatepass"))


def test_a_long_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "long.hjson"
    file.write_bytes(b"#" * (MOST_BYTES + 1))
    with pytest.raises(ConfigError, match=r"long\.hjson: the file is too long; allowed: at most 256 KiB"):
        read_hjson(file)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "Is a directory"), ("none.hjson", "No such file"), ("a\0b", "null byte"), ("x" * 300, "File name too long")],
    ids=["folder", "missing", "NUL", "too long"],
)
def test_what_is_no_file(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_hjson(Path(f"{tmp_path}/{name}"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_an_unreadable_file(tmp_path: Path) -> None:
    file = tmp_path / "secret.hjson"
    file.touch(mode=0)
    with pytest.raises(ConfigError, match="Permission denied"):
        read_hjson(file)
