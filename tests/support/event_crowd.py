"""Many subscribers in one thread: each counts what it gets, or only lets it pass."""

import contextlib
import selectors
import socket
import threading
from typing import Final, Self

_READ_BYTES: Final = 1 << 18
_GLANCE_S: Final = 0.02


class EventCrowd:
    """So many connections to one stream; a thread reads whatever comes.

    `messages` of each are its whole messages so far. Framing is not looked at.
    """

    def __init__(self, port: int, count: int, target: str = "/events?types=tool_invoked") -> None:
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._came: list[list[bytes]] = [[] for _ in range(count)]
        self._messages = [0] * count
        self._stopped = False
        request = f"GET {target} HTTP/1.0\r\nHost: crowd\r\n\r\n".encode()
        for number in range(count):
            each = socket.create_connection(("127.0.0.1", port), timeout=10)
            each.sendall(request)
            self._selector.register(each, selectors.EVENT_READ, number)
            self._sockets.append(each)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join()
        for each in self._sockets:
            each.close()
        self._selector.close()

    @property
    def listening(self) -> int:
        """How many have got an answer."""
        return sum(bool(came) for came in self._came)

    @property
    def messages(self) -> list[int]:
        return list(self._messages)

    def streams(self) -> list[bytes]:
        """All that each has got, without the head."""
        return [b"".join(came).partition(b"\r\n\r\n")[2] for came in self._came]

    def _read(self) -> None:
        while not self._stopped:
            for key, _ in self._selector.select(_GLANCE_S):
                with contextlib.suppress(ConnectionError):
                    octets = key.fileobj.recv(_READ_BYTES)  # type: ignore[union-attr]  # a socket
                    self._came[key.data].append(octets)
                    self._messages[key.data] += octets.count(b"\n\n")
                    if not octets:
                        self._selector.unregister(key.fileobj)
