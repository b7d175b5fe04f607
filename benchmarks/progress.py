"""A progress bar on standard error, where that is a terminal."""

import sys
import time
from types import TracebackType
from typing import Final, Self

_WIDTH: Final = 24
_CLEAR_LINE: Final = "\r\x1b[2K"


class Progress:
    """So many steps; `at` begins the next one."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._begun = 0
        self._began_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._say(_CLEAR_LINE)

    def at(self, what: str) -> None:
        done = self._begun
        self._begun += 1
        bar = "█" * (_WIDTH * done // self._steps)
        self._say(f"{_CLEAR_LINE}{bar:░<{_WIDTH}} {done}/{self._steps}{self._left(done)} {what}")

    def _left(self, done: int) -> str:
        if not done:
            return ""
        left_s = (time.monotonic() - self._began_at) / done * (self._steps - done)
        return f" {left_s // 60:.0f}:{left_s % 60:02.0f} left"

    def _say(self, text: str) -> None:
        if sys.stderr.isatty():
            print(text, end="", file=sys.stderr, flush=True)
