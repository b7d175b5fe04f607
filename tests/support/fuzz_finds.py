"""What a run of a fuzzer has found, so far."""

import asyncio
from typing import Any, Final

_MOST_FINDS: Final = 20


class Finds:
    """Everything odd, in words. Nothing that happens in a callback is lost."""

    def __init__(self) -> None:
        self._found: list[str] = []

    def add(self, what: str) -> None:
        self._found.append(what)

    @property
    def enough(self) -> bool:
        """There is no use in going on."""
        return len(self._found) >= _MOST_FINDS

    def watch_loop(self) -> None:
        """An exception in a callback is a find too: of the fuzzer's own."""
        asyncio.get_running_loop().set_exception_handler(self._mishap)

    def check(self) -> None:
        assert not self._found, "\n\n".join(self._found)

    def _mishap(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._found.append(f"in the fuzzer itself: {context!r}")
