"""A shell for tests: it runs nothing, and answers from a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.setup.shell import Result, Shell

if TYPE_CHECKING:
    from collections.abc import Sequence


class FakeShell(Shell):
    """Answers with the first entry whose words are in the command, else with success."""

    def __init__(
        self, answers: dict[str, Result] | None = None, *, root: bool = True, programs: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.answers, self.root, self.programs = answers or {}, root, programs
        self.ran: list[str] = []

    def which(self, program: str) -> str | None:
        """Its path, where it is one of `programs`."""
        return f"/usr/bin/{program}" if program in self.programs else None

    def is_root(self) -> bool:
        """As told."""
        return self.root

    def run(self, argv: Sequence[str], *, timeout: float) -> Result:
        """Note the command and answer it."""
        del timeout
        self.ran.append(" ".join(argv))
        return self.answer(self.ran[-1])

    def watch(self, argv: Sequence[str], *, idle: float, timeout: float) -> Result:
        """As `run`."""
        del idle
        return self.run(argv, timeout=timeout)

    def ran_words(self, words: str) -> bool:
        """Whether a command had these words in a row."""
        return any(words in line for line in self.ran)

    def answer(self, line: str) -> Result:
        """What this command gives; tests override it where the answer changes with time."""
        return next((self.answers[words] for words in self.answers if words in line), Result(code=0, output=""))
