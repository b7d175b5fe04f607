"""How far an upload has come, on a terminal; nothing is said of one that is over in a second."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from proxy.people.output import Output

_QUIET_FOR_S: Final = 1.0
_BETWEEN_S: Final = 0.1
_MIB: Final = 1024**2


class Upload:
    """A context: called with how many octets have gone, and of how many."""

    def __init__(self, output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self._output = output
        self._clock = clock
        self._due_at = clock() + _QUIET_FOR_S
        self._said = False

    def __repr__(self) -> str:
        return f"<Upload said={self._said}>"

    def __call__(self, gone: int, total: int) -> None:
        now = self._clock()
        if now < self._due_at:
            return
        self._output.progress(f"{gone / _MIB:.1f} of {total / _MIB:.1f} MiB")
        self._due_at = now + _BETWEEN_S
        self._said = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._said:
            self._output.progress("")
