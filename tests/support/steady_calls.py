"""Callers that never stop calling, each call on a connection of its own; and what became of it."""

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Final

from tests.support.messages import post
from tests.support.waiting import eventually

PATIENCE_S: Final = 10.0
_SOME: Final = 50


class SteadyCalls:
    """`outcomes` counts statuses, and the names of what went wrong with a connection."""

    def __init__(self, port: int, path: str) -> None:
        self.outcomes: Counter[str] = Counter()
        self._port = port
        self._request = post(path, b"Connection: close")
        self._ended = threading.Event()

    @property
    def made(self) -> int:
        return self.outcomes.total()

    @property
    def failed(self) -> int:
        return self.made - self.outcomes["200"]

    def go_on(self) -> bool:
        """Have so many more been made?"""
        wanted = self.made + _SOME
        return eventually(lambda: self.made >= wanted)

    def call_until_told(self) -> None:
        while not self._ended.is_set():
            self.outcomes[self._outcome()] += 1

    def stop(self) -> None:
        self._ended.set()

    def _outcome(self) -> str:
        try:
            with socket.create_connection(("127.0.0.1", self._port), PATIENCE_S) as caller:
                caller.sendall(self._request)
                answer = b"".join(iter(lambda: caller.recv(65536), b""))
        except OSError as error:
            return type(error).__name__
        return answer[9:12].decode() or "nothing"


@contextlib.contextmanager
def steadily_called(port: int, path: str, *, callers: int = 3) -> Iterator[SteadyCalls]:
    """Calls go on while the block runs."""
    calls = SteadyCalls(port, path)
    threads = [threading.Thread(target=calls.call_until_told) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield calls
    finally:
        calls.stop()
        for thread in threads:
            thread.join()
