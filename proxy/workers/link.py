"""Between two processes of one sidecar: messages told, questions asked, over a Unix socket.

Both ends run the same code for the same user, in a folder that nobody else can open; so values go
as pickles. Knows nothing of what is said.
"""

import asyncio
import inspect
import logging
import pickle
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

_LOG = logging.getLogger("toolproxy.workers")
_LENGTH_BYTES: Final = 4
_MOST_FRAME_BYTES: Final = 256 * 1024**2
# Waiting to be sent: more than that, and the other side is stuck.
_MOST_UNSENT_BYTES: Final = 64 * 1024**2
_TOLD: Final = 0

Hears = Callable[..., Any]


class AwayError(Exception):
    """The other side is not there, or did not answer in time."""


class Link(asyncio.Protocol):
    """One end. `hears` are functions by the kind of what is said: each gets the link, and content.

    What a function gives, or what can be awaited of it, answers a question.
    """

    def __init__(self, hears: Mapping[str, Hears], on_lost: Callable[["Link"], None]) -> None:
        self.dropped = 0
        self._hears = hears
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._read = bytearray()
        self._unsent: list[bytes] = []
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._serial = 0
        self._answering: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Link {'up' if self.is_up else 'down'}>"

    @property
    def is_up(self) -> bool:
        return self._transport is not None

    @property
    def is_full(self) -> bool:
        """Does so much wait to be sent that more would only pile up?"""
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() > _MOST_UNSENT_BYTES

    # --- what is said ---

    def tell(self, kind: str, *content: object) -> bool:
        """Say something; False when it is lost, since nobody takes it."""
        if self._transport is None or self.is_full:
            self.dropped += 1
            return False
        self._send(_TOLD, kind, content)
        return True

    async def ask(self, kind: str, *content: object, within_s: float | None = 1.0) -> Any:
        """Ask, and wait for the answer; raises `AwayError`."""
        if self._transport is None or self.is_full:
            raise AwayError("not connected")
        self._serial += 1
        serial = self._serial
        self._asked[serial] = answer = self._loop.create_future()
        self._send(serial, kind, content)
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise AwayError("no answer in time") from None
        finally:
            self._asked.pop(serial, None)

    def close(self) -> None:
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def _send(self, serial: int, kind: str, content: object) -> None:
        octets = pickle.dumps((serial, kind, content), pickle.HIGHEST_PROTOCOL)
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent += (len(octets).to_bytes(_LENGTH_BYTES, "big"), octets)

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if self._transport is not None and unsent:
            self._transport.write(b"".join(unsent))

    # --- what is heard ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        read = self._read
        read += data
        at = 0
        while len(read) - at >= _LENGTH_BYTES:
            start = at + _LENGTH_BYTES
            end = start + int.from_bytes(read[at:start], "big")
            if end - start > _MOST_FRAME_BYTES:
                self.abort()
                return
            if end > len(read):
                break
            self._hear(bytes(read[start:end]))
            at = end
        del read[:at]

    def _hear(self, octets: bytes) -> None:
        serial, kind, content = pickle.loads(octets)  # noqa: S301 - of our own, see above
        if serial < 0:
            answer = self._asked.get(-serial)
            if answer is not None and not answer.done():
                answer.set_result(content)
            return
        try:
            said = self._hears[kind](self, *content)
        except Exception:  # noqa: BLE001 - one message, and not the link
            _LOG.exception("A bug of ours in what was told: %s", kind)
            return
        if inspect.isawaitable(said):
            task = self._loop.create_task(self._answer(serial, said))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        elif serial:
            self._reply(serial, said)

    async def _answer(self, serial: int, said: Any) -> None:
        try:
            answer = await said
        except Exception:  # noqa: BLE001 - as above
            _LOG.exception("A bug of ours in an answer")
            return
        if serial:
            self._reply(serial, answer)

    def _reply(self, serial: int, answer: object) -> None:
        if self._transport is not None:
            self._send(-serial, "", answer)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(AwayError("the connection is lost"))
                answer.exception()  # seen: who asked may have left
        for task in self._answering:
            task.cancel()
        self._on_lost(self)
