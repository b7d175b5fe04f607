"""The upstream of the fuzzers: reads strictly, knows whose request it is, keeps what is odd.

A caller is known by its address: each has one of its own out of 127.0.0.0/8, and the sidecar says
it in `X-Forwarded-For`, whatever became of the request's bytes.
"""

import asyncio
from collections import deque
from typing import Final, cast

from tests.support.fuzz_finds import Finds
from tests.support.fuzz_reading import Odd, Request, read_request
from tests.support.fuzz_story import ECHO, Story
from tests.support.messages import chunked, message, ok

_MOST_STORIES: Final = 4096  # so many ended ones are remembered: what comes later is odd


class Ledger:
    """Every open story by its caller's address, and what is found."""

    def __init__(self) -> None:
        self.finds = Finds()
        self.forwarded = 0
        self._stories: dict[bytes, Story] = {}
        self._ended: deque[bytes] = deque()

    def open(self, story: Story) -> None:
        self._stories[story.address] = story

    def close(self, story: Story) -> None:
        self._ended.append(story.address)
        if len(self._ended) > _MOST_STORIES:
            del self._stories[self._ended.popleft()]

    def story_of(self, request: Request) -> Story:
        addresses = request.values(b"x-forwarded-for")
        if len(addresses) != 1 or addresses[0] not in self._stories:
            raise Odd(f"forwarded for {addresses!r}, who sends nothing: {request!r}")
        return self._stories[addresses[0]]


class OriginConnection(asyncio.Protocol):
    """One connection from the sidecar."""

    def __init__(self, ledger: Ledger, opened: set["OriginConnection"]) -> None:
        self._ledger = ledger
        self._opened = opened
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._unread = b""
        self._early: tuple[Story, int] | None = None  # answered before its body was there

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        try:
            while self._unread and self._read_one():
                pass
        except Odd as odd:
            self._find(odd)
            self._unread = b""
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._opened.discard(self)
        if not self._unread:
            return
        try:
            request, _ = read_request(self._unread)
            if request is None:
                raise Odd("a head that breaks off")  # noqa: TRY301 - as any other verdict
            self._judge(request, self._unread)
        except Odd as odd:
            self._find(odd)

    def _read_one(self) -> bool:
        """One request, if it is whole; one that wants it is answered before."""
        request, after = read_request(self._unread)
        if after < 0:
            raise Odd("a broken body")
        if request is None:
            return False
        if not request.complete:
            if b"/early" in request.target and self._early is None:
                self._early = self._judge(request, self._unread)
                self._answer(request, *self._early)
            return False
        octets, self._unread = self._unread[:after], self._unread[after:]
        if request.target.endswith(b"/health") and not request.values(b"x-forwarded-for"):
            self._transport.write(ok())
            return True
        answered = self._early is not None
        story, index = self._judge(request, octets)
        self._early = None
        if not answered:
            self._answer(request, story, index)
        return True

    def _judge(self, request: Request, octets: bytes) -> tuple[Story, int]:
        """Whose request it is, and which of theirs; `Odd` if it should not be here."""
        if self._early is not None:
            story, index = self._early
            story.grew(index, request, octets)
            return self._early
        self._ledger.forwarded += 1
        story = self._ledger.story_of(request)
        return story, story.forwarded(request, octets)

    def _answer(self, request: Request, story: Story, index: int) -> None:
        echo = story.echo_of(index)
        line, field = b"HTTP/1.1 200 OK", b"%b: %b" % (ECHO, echo)
        if request.method == b"HEAD":
            self._transport.write(message(line, field, b"Content-Length: 100"))
        elif b"/chunked" in request.target:
            body = chunked(echo[:1], echo[1:])
            self._transport.write(message(line, field, b"Transfer-Encoding: chunked", body=body))
        else:
            self._transport.write(ok(echo, field))

    def _find(self, odd: Odd) -> None:
        self._ledger.finds.add(f"upstream: {odd}, in {self._unread!r}")


class FuzzOrigin:
    """Listens, and answers each request with whose it was."""

    def __init__(self, ledger: Ledger) -> None:
        self.opened: set[OriginConnection] = set()
        self.port = 0
        self._ledger = ledger
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: OriginConnection(self._ledger, self.opened), "127.0.0.1", 0, backlog=1024
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        if self._server:
            self._server.close()
