"""Frozen dataclasses ↔ small versioned JSON objects: `{"v": 1, "kind": "job", …}`, every field by its name."""

from __future__ import annotations

import json
import types
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from ..errors import WireError
from .document import show

if TYPE_CHECKING:
    from collections.abc import Hashable

VERSION = 1
LARGEST = 60_000
"""Bytes: beanstalkd takes bodies of 65,534 and 65,535 bytes, and cannot read its binlog after them."""

T = TypeVar("T")
_PLAIN = (str, int, float, bool)


def encode(kind: str, message: Any) -> bytes:
    """A message's JSON text, ASCII only; WireError where it is too large for the queue."""
    body = json.dumps({"v": VERSION, "kind": kind, **plain(message)}, separators=(",", ":")).encode()
    if len(body) > LARGEST:
        raise WireError(f"a message of kind {kind} has {len(body)} bytes, the queue takes at most {LARGEST}")
    return body


def plain(message: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON takes them."""
    return {field.name: _plain(getattr(message, field.name)) for field in fields(message)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return plain(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def members(body: str | bytes, kind: str) -> dict[str, Any]:
    """What a message of this kind and version holds beside both; WireError for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message of kind {kind} was expected, this is no JSON: {error}") from error
    version = found.pop("v", None) if isinstance(found, dict) else None
    if type(version) is not int or version != VERSION:
        raise WireError(f"a message is not of version {VERSION}: update the older host")
    if found.pop("kind", None) != kind:
        raise WireError(f"a message of kind {kind} was expected, this is another")
    return dict(found)


def build(cls: type[T], value: Any) -> T:
    """A dataclass from the members of a JSON object, each of its field's type; WireError for anything else."""
    hints = _hints(cast("Hashable", cls))
    if not isinstance(value, dict) or set(value) != set(hints):
        raise WireError(f"a {cls.__name__} on the wire has other fields than it should: {show(repr(value))}")
    return cls(**{name: _read(hint, value[name]) for name, hint in hints.items()})


@cache
def _hints(cls: Hashable) -> dict[str, Any]:
    return get_type_hints(cls)


def _read(hint: Any, value: Any) -> Any:
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        rest = [arg for arg in get_args(hint) if arg is not type(None)]
        return None if value is None and len(rest) < len(get_args(hint)) else _read(rest[0], value)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(get_args(hint)[0], item) for item in value)
    if is_dataclass(hint) and isinstance(hint, type):
        return build(hint, value)
    if isinstance(hint, type) and issubclass(hint, StrEnum) and isinstance(value, str) and value in list(hint):
        return hint(value)
    if hint is float and type(value) is int:
        return float(value)
    if hint in _PLAIN and type(value) is hint:
        return value
    raise WireError(f"a value on the wire is of another type than it should be: {show(repr(value))}")
