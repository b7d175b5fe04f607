"""The callers of the fuzzers: many connections at a time, each with an address and a story."""

import asyncio
import itertools
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, cast

from tests.support.fuzz_messages import Messages
from tests.support.fuzz_mutations import mutated
from tests.support.fuzz_origin import Ledger
from tests.support.fuzz_reading import End, Odd
from tests.support.fuzz_story import Story
from tests.support.messages import post

PATIENCE_S: Final = 30.0
_MOMENT_S: Final = 0.01
_RESET: Final = struct.pack("ii", 1, 0)


class Leaving(Enum):
    """What a caller does once everything is sent."""

    STAYS = auto()  # until it has its answers
    HALF_CLOSES = auto()
    LEAVES = auto()
    RESETS = auto()


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one caller is going to do."""

    pieces: tuple[bytes, ...]
    pause_s: float
    leaving: Leaving
    is_plain: bool


def conversations(chance: random.Random) -> Iterator[Conversation]:
    """An endless supply."""
    messages = Messages(chance)
    while True:
        yield _conversation(chance, messages)


def _conversation(chance: random.Random, messages: Messages) -> Conversation:
    said = [messages.request() for _ in range(chance.choice((0, 0, 1, 1, 2, 4)))]
    is_plain = bool(said) and chance.random() < 0.15
    if not is_plain:
        odd = mutated(chance, messages.request())
        said.append(odd)
        said += [messages.marked() for _ in range(chance.choice((0, 1, 1, 2)))]
    octets = b"".join(said)
    drawn = chance.random()
    if drawn < 0.5:
        pieces = [octets]
    elif drawn < 0.7:
        pieces = said
    else:
        pieces = list(_pieces(chance, octets))
    leaving = Leaving.STAYS
    if not is_plain and chance.random() < 0.06:
        leaving = chance.choice((Leaving.HALF_CLOSES, Leaving.LEAVES, Leaving.RESETS))
    pause_s = chance.choice((0.0, 0.0, 0.0, 0.002))
    return Conversation(tuple(pieces), pause_s, leaving, is_plain)


def _pieces(chance: random.Random, octets: bytes) -> Iterator[bytes]:
    places = sorted({0, len(octets), *(chance.randrange(len(octets)) for _ in range(5))})
    for start, end in itertools.pairwise(places):
        yield octets[start:end]


class CallerConnection(asyncio.Protocol):
    """One connection to the sidecar, until there is nothing more to hear."""

    def __init__(self, story: Story) -> None:
        self.transport: asyncio.Transport = cast("asyncio.Transport", None)
        self.heard = b""
        self.over = asyncio.get_running_loop().create_future()
        self.was_reset = False
        self.ended = False
        self._story = story

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def end_without_a_trace(self) -> None:
        """By a reset: ten thousands of sockets in TIME_WAIT would slow down each later test."""
        plain = self.transport.get_extra_info("socket")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)

    def data_received(self, data: bytes) -> None:
        self.heard += data
        try:
            self._story.heard(self.heard, ended=False)
        except Odd:  # which `Story.close` will say again
            self._tell()
        if self._story.is_settled():
            self._tell()

    def eof_received(self) -> bool:
        self.ended = True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.was_reset = exc is not None
        self._tell()

    def _tell(self) -> None:
        if not self.over.done():
            self.over.set_result(None)


class Callers:
    """Hold conversations with one sidecar, `at_once` of them at a time."""

    def __init__(self, port: int, ledger: Ledger, chance: random.Random, at_once: int = 48) -> None:
        self.messages = 0
        self.connections = 0
        self.odd = 0
        self.statuses: Counter[int] = Counter()
        self._port = port
        self._ledger = ledger
        self._conversations = conversations(chance)
        self._addresses = map(_address, itertools.count(1))
        self._at_once = at_once

    async def hold(self, messages: int) -> None:
        """Converse until so many messages were judged in all."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._at_once):
                group.create_task(self._hold_until(messages))

    async def call_plainly(self) -> None:
        """One good call, which has to be answered."""
        call = Conversation((post("/tools/f.call"),), 0.0, Leaving.STAYS, is_plain=True)
        await self._converse(call, next(self._addresses))

    async def _hold_until(self, messages: int) -> None:
        while self.messages < messages and not self._ledger.finds.enough:
            await self._converse(next(self._conversations), next(self._addresses))

    async def _converse(self, conversation: Conversation, address: str) -> None:
        story = Story(address.encode(), b"".join(conversation.pieces))
        self._ledger.open(story)
        connection = await self._connected(story)
        if conversation.leaving is Leaving.STAYS:
            connection.end_without_a_trace()
        try:
            await _say(connection, conversation)
            story.closed_by_us = conversation.leaving is not Leaving.STAYS
            if not story.closed_by_us:
                await _hear(connection, story)
                story.closed_by_us = not connection.ended
            story.close(connection.heard, was_reset=connection.was_reset)
            if conversation.is_plain:
                story.check_all_accepted()
        except (Odd, TimeoutError) as odd:
            self._ledger.finds.add(
                f"caller: {odd!r}, heard {connection.heard!r}, sent {story.octets!r}"
            )
        finally:
            connection.transport.abort()
            self._ledger.close(story)
        self._count(story, conversation)

    async def _connected(self, story: Story) -> CallerConnection:
        loop = asyncio.get_running_loop()
        plain = socket.socket()
        plain.setblocking(False)  # noqa: FBT003 - that is how sockets spell it
        plain.bind((story.address.decode(), 0))
        await loop.sock_connect(plain, ("127.0.0.1", self._port))
        _, connection = await loop.create_connection(lambda: CallerConnection(story), sock=plain)
        return connection

    def _count(self, story: Story, conversation: Conversation) -> None:
        """A message counts once there is a verdict on it, or its caller has left it unfinished."""
        self.statuses.update(answer.status for answer in story.answers)
        self.messages += max(1, len(story.answers))
        self.connections += 1
        self.odd += not conversation.is_plain


async def _say(connection: CallerConnection, conversation: Conversation) -> None:
    for number, piece in enumerate(conversation.pieces):
        if number:
            await asyncio.sleep(conversation.pause_s)
        if connection.transport.is_closing():
            return
        connection.transport.write(piece)
    match conversation.leaving:
        case Leaving.HALF_CLOSES:
            connection.transport.write_eof()
            await asyncio.sleep(_MOMENT_S)
        case Leaving.RESETS:
            connection.end_without_a_trace()
        case Leaving.LEAVES:
            await asyncio.sleep(0)
        case Leaving.STAYS:
            pass


async def _hear(connection: CallerConnection, story: Story) -> None:
    """Until all answers are there, or the connection's end where one is due."""
    if not story.is_settled():
        async with asyncio.timeout(PATIENCE_S):
            await connection.over
    elif story.end is End.BEGUN:
        await asyncio.sleep(_MOMENT_S)  # the sidecar begins to act on what it has


def _address(number: int) -> str:
    """Linux takes all of 127.0.0.0/8 for its own."""
    return f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
