"""Frozen dataclasses ↔ small versioned JSON objects: `{"v": 2, "kind": "job", …}`, every field by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast, get_args, get_origin, get_type_hints

from ..errors import WireError
from .document import show

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from enum import StrEnum

    Reader = Callable[[Any], Any]

VERSION = 2
LARGEST = 60_000
"""Bytes: beanstalkd takes bodies of 65,534 and 65,535 bytes, and cannot read its binlog after them."""

T = TypeVar("T")
_LARGEST_NUMBER = 1 << 53  # what every reader of JSON keeps, and SQLite holds
_PLAIN = (str, int, bool)
_WRITER = json.JSONEncoder(separators=(",", ":"))


def encode(kind: str, message: Any) -> bytes:
    """A message's JSON text, ASCII only; WireError where it is too large for the queue."""
    body = text(kind, message)
    if len(body) > LARGEST:
        raise WireError(f"a message of kind {kind} has {len(body)} bytes, the queue takes at most {LARGEST}")
    return body


def text(kind: str, message: Any, version: int = VERSION) -> bytes:
    """The same of any size, for a file."""
    return _WRITER.encode({"v": version, "kind": kind, **plain(message)}).encode()


def plain(message: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON takes them."""
    return {name: _plain(getattr(message, name)) for name in _names(cast("Hashable", type(message)))}


@cache
def _names(cls: Hashable) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cast("Any", cls)))


def _plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return plain(value) if is_dataclass(value) else value


def parsed(data: bytes) -> Any:
    """The JSON value that a file's text is; WireError where it is none."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise WireError(f"it is no JSON: {error}") from error


def members(body: str | bytes, kind: str, version: int = VERSION) -> dict[str, Any]:
    """What a message of this kind and version holds beside both; WireError for anything else."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a message of kind {kind} was expected, this is no JSON: {error}") from error
    told = found.pop("v", None) if isinstance(found, dict) else None
    if type(told) is not int or told != version:
        raise WireError(f"a message of kind {kind} is not of version {version}: update the older of both sides")
    if found.pop("kind", None) != kind:
        raise WireError(f"a message of kind {kind} was expected, this is another")
    return dict(found)


def build(cls: type[T], value: Any) -> T:
    """A dataclass from the members of a JSON object, each of its field's type; WireError for anything else."""
    readers = _readers(cast("Hashable", cls))
    if not isinstance(value, dict) or value.keys() != readers.keys():
        raise WireError(f"a {cls.__name__} on the wire has other fields than it should: {show(repr(value))}")
    return cls(**{name: read(value[name]) for name, read in readers.items()})


def pick(cls: type[T], value: Any) -> T:
    """The same from an object of which others read more: members that are not there have their defaults."""
    readers = _readers(cast("Hashable", cls))
    if not isinstance(value, dict):
        _refuse(value)
    lacking = [
        name for name, by_default in _defaults(cast("Hashable", cls)).items() if not by_default | (name in value)
    ]
    if lacking:
        raise WireError(f"an object lacks its member {show(lacking[0])}")
    return cls(**{name: read(value[name]) for name, read in readers.items() if name in value})


@cache
def _defaults(cls: Hashable) -> dict[str, bool]:
    """For each field whether it has one."""
    every = fields(cast("Any", cls))
    return {field.name: not field.default is field.default_factory is MISSING for field in every}


@cache
def _readers(cls: Hashable) -> dict[str, Reader]:
    """For each field what makes its value: types are looked into once, messages are many."""
    return {name: _reader(hint) for name, hint in get_type_hints(cls).items()}


def _reader(hint: Any) -> Reader:
    if is_dataclass(hint):
        return partial(build, cast("type[Any]", hint))
    if args := get_args(hint):
        return _compound(get_origin(hint), args)
    known: dict[Any, Reader] = {float: _number, int: _integer, str: _exact(str), bool: _exact(bool), object: _anything}
    return known.get(hint) or _word(hint)


def _compound(origin: Any, args: tuple[Any, ...]) -> Reader:
    if origin is tuple:
        return _sequence(_reader(args[0]))
    if origin is Mapping:
        return _mapping(_reader(args[1]))
    return _optional(_reader(next(arg for arg in args if arg is not type(None))))


def _optional(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _sequence(read: Reader) -> Reader:
    return lambda value: tuple(map(read, value)) if isinstance(value, list) else _refuse(value)


def _mapping(read: Reader) -> Reader:
    return lambda value: {k: read(v) for k, v in value.items()} if isinstance(value, dict) else _refuse(value)


def _anything(value: Any) -> Any:
    return value


def _number(value: Any) -> float:
    """JSON has no difference between 1 and 1.0, and Python's reader takes NaN and Infinity."""
    return float(value) if type(value) in {int, float} and abs(value) < _LARGEST_NUMBER else _refuse(value)


def _integer(value: Any) -> int:
    return value if type(value) is int and abs(value) < _LARGEST_NUMBER else _refuse(value)


def _exact(kind: type) -> Reader:
    return lambda value: value if type(value) is kind else _refuse(value)


def _word(kind: type[StrEnum]) -> Reader:
    words = {word.value: word for word in kind}
    return lambda value: words[value] if isinstance(value, str) and value in words else _refuse(value)


def _refuse(value: Any) -> NoReturn:
    raise WireError(f"a value is of another type than it should be: {show(repr(value))}")
