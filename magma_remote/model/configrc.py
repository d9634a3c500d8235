"""A target's programs and their arguments, from `configrc` (Bash, never executed) or `configrc.hjson`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError, Problem
from .bash_file import Command, Setting, read_bash
from .document import Table, describe, show
from .fields import shown_key
from .names import ONE_LINE, PLAIN_NAME, is_one_line, is_plain_name

if TYPE_CHECKING:
    from .bash_file import Item

# Commands after which a variable may hold anything.
_SETTERS = {".", "source", "eval", "unset", "read", "mapfile", "readarray", "printf", "let", "exec", "exit", "return"}


def read_configrc(text: str) -> dict[str, str]:
    """Program → arguments of a Bash `configrc`, in the order of PROGRAMS; empty where it sets none.

    ConfigError with the line for what cannot be known without running Bash.
    """
    items = read_bash(text)
    programs = _programs(items)
    return {program: _arguments(items, program) for program in programs}


def _programs(items: list[Item]) -> list[str]:
    setting = _last(items, "PROGRAMS")
    if setting is None:
        return []
    # captain joins the elements and splits them at blanks again
    programs = [word for value in setting.values for word in value.split()]
    for program in programs:
        if not is_plain_name(program):
            raise _refused("PROGRAMS", f"found {show(program)}", PLAIN_NAME, setting.line)
        if programs.count(program) > 1:
            raise _refused("PROGRAMS", f"{program} is listed twice", "each program once", setting.line)
    return programs


def _arguments(items: list[Item], program: str) -> str:
    name = f"{program}_ARGS"
    setting = _last(items, name)
    if setting is None:
        return ""
    if setting.array or not is_one_line(setting.values[0]):
        raise _refused(name, f"found {show(setting.raw)}", ONE_LINE, setting.line)
    return setting.values[0]


def _last(items: list[Item], name: str) -> Setting | None:
    """The assignment that Bash would leave standing, where that can be known."""
    found = None
    for item in items:
        if isinstance(item, Command):
            _check_command(item, name)
        if isinstance(item, Setting) and item.name == name:
            found = item
            if item.unknown:
                raise _refused(
                    name,
                    f"cannot be known without running Bash: {show(item.unknown)}",
                    "a value as it is, such as PROGRAMS=(a b)",
                    item.line,
                )
    return found


def _check_command(command: Command, name: str) -> None:
    first = command.words[0]
    if first in _SETTERS or any(name in word for word in command.words):
        text = show(" ".join(command.words))
        raise _refused(name, f"may be changed by the command {text}", "assignments only", command.line)


def _refused(key: str, found: str, allowed: str, line: int | None) -> ConfigError:
    return ConfigError([Problem(key=key, found=found, allowed=allowed, line=line)])


def programs_of(document: Table) -> dict[str, str]:
    """Program → arguments of a `configrc.hjson`: its object `programs`; ConfigError where there is none."""
    form = 'an object: program -> arguments, such as {tiffcp: "-M @@ tmp.out"}'
    node = next((node for key, node in document.pairs if key == "programs"), None)
    if node is None:
        raise _refused("programs", "missing", form, None)
    if not isinstance(node.value, Table):
        raise _refused("programs", f"found {describe(node.value)}", form, node.line)
    programs: dict[str, str] = {}
    for program, arguments in node.value.pairs:
        where = f"programs {shown_key(program)}"
        if not is_plain_name(program):
            raise _refused(where, "no usable name", PLAIN_NAME, arguments.line)
        if program in programs:
            raise _refused(where, "given twice", "each program once", arguments.line)
        if not isinstance(arguments.value, str) or not is_one_line(arguments.value):
            raise _refused(where, f"found {describe(arguments.value)}", ONE_LINE, arguments.line)
        programs[program] = arguments.value
    return programs
