"""A disk that fails, or a process that ends, at the system call that a test names."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest.mock import patch

_CHANGING: Final = ("write", "fsync", "replace", "unlink", "mkdir", "rmdir")


class Died(BaseException):
    """The process ended here: no handler of an error runs."""


class Disk:
    """Counts the calls that change something, and breaks from the nth on (from 1; 0 for never)."""

    def __init__(self, breaks_at: int = 0, error: int | None = None) -> None:
        self.log: list[str] = []
        self._breaks_at = breaks_at
        self._error = error

    @property
    def calls(self) -> int:
        return len(self.log)

    @property
    def broke(self) -> bool:
        return 0 < self._breaks_at <= self.calls

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """In the place of the real one."""
        with contextlib.ExitStack() as stack:
            for call in _CHANGING:
                stack.enter_context(patch.object(os, call, self._counted(call)))
            stack.enter_context(patch.object(os, "open", self._opening(os.open)))
            yield

    def _counted(self, call: str) -> Callable[..., Any]:
        real = getattr(os, call)

        def counted(*arguments: Any, **named: Any) -> Any:
            if self._is_bad(call):
                if call == "write":  # some of it gets there
                    handle, rest = arguments
                    real(handle, rest[: len(rest) // 2])
                self._break()
            return real(*arguments, **named)

        return counted

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def opening(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
            if flags & os.O_CREAT and self._is_bad("open"):
                self._break()
            return real(path, flags, *arguments, **named)

        return opening

    def _is_bad(self, call: str) -> bool:
        self.log.append(call)
        return self.broke

    def _break(self) -> None:
        if self._error is None:
            raise Died
        raise OSError(self._error, os.strerror(self._error))
