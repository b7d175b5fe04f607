"""A guide's block, run as it is written but for the changes that a test declares.

What it prints is heard, and an endless one is ended once it has said enough. Knows nothing of what
a block is about.
"""

import ast
import asyncio
import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any


class EnoughError(Exception):
    """An endless block has said all that was waited for."""


@dataclass
class Run:
    """One block on its way. `said` is what it said; `names` are its names, before and after."""

    enough: Sequence[str] = ()  # an endless block has said enough when all of these were said
    said: list[str] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = {"__name__": "__main__", "print": self.say, **self.names}

    def of(self, block: str) -> "Run":
        """Run it to its end, or until it said enough."""
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(block, "<a guide's block>", "exec", flags=flags, dont_inherit=True)
        try:
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(self._awaited(code))
            else:
                exec(code, self.names)  # noqa: S102 - that is what it is for
        except EnoughError:
            assert self.enough
        else:
            assert not self.enough, f"it ended by itself: {self.said}"
        return self

    def say(self, *words: object) -> None:
        self.said.append(" ".join(map(str, words)))
        if self.enough and all(map(self.heard, self.enough)):
            raise EnoughError

    def heard(self, pattern: str) -> bool:
        return any(re.search(pattern, each) for each in self.said)

    def left(self, expression: str) -> object:
        """What an expression in its names comes to, at the end."""
        return eval(expression, self.names)  # noqa: S307 - a test's own

    async def _awaited(self, code: CodeType) -> None:
        try:
            await eval(code, self.names)  # noqa: S307 - as above
        finally:
            if "client" in self.names:  # one block leaves it open, to show that one must not
                await self.names["client"].close()
