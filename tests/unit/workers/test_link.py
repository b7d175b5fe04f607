"""Facts about a link: what is told, asked, answered, and what becomes of it when it breaks."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.workers import link as module
from proxy.workers.link import AwayError, Hears, Link
from tests.support.offices import come_true


class Pair:
    """Both ends; `heard` is what came to the second."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []
        self.lost: list[Link] = []
        self.hears: dict[str, Hears] = {"note": self._note}
        self.one = Link({}, self.lost.append)
        self.other = Link(self.hears, self.lost.append)

    def _note(self, _: Link, *content: object) -> None:
        self.heard.append(content)

    async def connect(self) -> None:
        loop = asyncio.get_running_loop()
        for link, sock in zip((self.one, self.other), socket.socketpair(), strict=True):
            await loop.create_unix_connection(lambda link=link: link, sock=sock)  # type: ignore[misc]  # each its own


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    pair = Pair()
    await pair.connect()
    yield pair
    for link in (pair.one, pair.other):
        link.abort()
    await come_true(lambda: len(pair.lost) == 2)


async def test_what_is_told_comes_in_order_and_as_it_was(pair: Pair) -> None:
    pair.one.tell("note", 1, b"two")
    pair.one.tell("note", {"three": None})

    await come_true(lambda: len(pair.heard) == 2)

    assert pair.heard == [(1, b"two"), ({"three": None},)]


async def test_a_message_in_many_pieces_is_one(pair: Pair) -> None:
    large = b"x" * 1_000_000

    pair.one.tell("note", large)

    await come_true(lambda: pair.heard)
    assert pair.heard == [(large,)]


async def test_a_question_is_answered(pair: Pair) -> None:
    pair.hears["double"] = lambda _, number: 2 * number

    assert [await pair.one.ask("double", each) for each in (1, 2)] == [2, 4]


async def test_an_answer_may_have_to_be_waited_for(pair: Pair) -> None:
    async def later(number: int) -> int:
        await asyncio.sleep(0)
        return number

    pair.hears["later"] = lambda _, number: later(number)

    assert await pair.one.ask("later", 7) == 7


async def test_an_answer_that_does_not_come_in_time_is_none(pair: Pair) -> None:
    pair.hears["never"] = lambda _: asyncio.get_running_loop().create_future()

    with pytest.raises(AwayError, match="in time"):
        await pair.one.ask("never", within_s=0.01)


async def test_a_bug_in_what_hears_costs_one_message(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Link) -> None:
        raise ValueError("a bug")

    async def fails_later() -> None:
        await asyncio.sleep(0)
        raise ValueError("a bug")

    pair.hears |= {"fails": fails, "fails later": lambda _: fails_later()}
    with caplog.at_level(logging.CRITICAL):
        for kind in ("fails", "fails later", "unheard of"):
            with pytest.raises(AwayError):
                await pair.one.ask(kind, within_s=0.05)

    pair.one.tell("note", "still there")
    await come_true(lambda: pair.heard)


async def test_who_asks_when_it_breaks_is_told(pair: Pair) -> None:
    pair.hears["hang up"] = lambda link: link.abort()

    with pytest.raises(AwayError, match="lost"):
        await pair.one.ask("hang up", within_s=None)

    assert (pair.one.is_up, pair.one.tell("note"), pair.one.dropped) == (False, False, 1)
    with pytest.raises(AwayError, match="not connected"):
        await pair.one.ask("note")


async def test_what_was_told_before_it_is_closed_arrives(pair: Pair) -> None:
    pair.one.tell("note", "last words")
    pair.one.close()

    await come_true(lambda: len(pair.lost) == 2)

    assert pair.heard == [("last words",)]


async def test_a_message_that_is_too_large_ends_it(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_FRAME_BYTES", 100)

    pair.one.tell("note", b"x" * 101)

    await come_true(lambda: len(pair.lost) == 2)
    assert not pair.heard


async def test_what_a_stuck_side_does_not_take_is_dropped(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_UNSENT_BYTES", 0)
    stuck: Any = pair.other._transport
    stuck.pause_reading()

    async def fills() -> bool:
        told = pair.one.tell("note", b"x" * 1_000_000)
        await asyncio.sleep(0)
        return told

    told = [await fills() for _ in range(5)]

    assert (told[0], told[-1], pair.one.is_full, pair.one.dropped > 0) == (True, False, True, True)
