"""Facts about remote sources of every kind: bounds, tags, and when the next look is due."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.generations import remote
from proxy.generations.remote import Intake, RemoteSource, backoff_s
from proxy.generations.source import AwayError, Text, spool
from tests.support.descriptors import open_descriptors

NEVER_S: Final = 3600.0
WITHIN_S: Final = 10.0
Reading = Callable[[Intake], Awaitable[Text | None]]


class Scripted(RemoteSource):
    """A source that a test plays."""

    def __init__(self, reading: Reading, interval_s: float = NEVER_S) -> None:
        super().__init__("scripted", interval_s)
        self.reading = reading

    def tell(self) -> None:
        self._news.set()

    @property
    def pause_s(self) -> float:
        return self._pause_s()

    async def _read(self, known: str, intake: Intake) -> Text | None:
        del known
        return await self.reading(intake)


async def old(intake: Intake) -> Text:
    intake.take(b"o")
    intake.take(b"ld")
    return intake.text(b"signed")


async def fails(_: Intake) -> Text:
    raise AwayError("it is away")


async def tries(source: Scripted, known: str = "") -> str:
    try:
        async with source.fetch(known) as text:
            return "nothing new" if text is None else text.tag
    except AwayError as error:
        return str(error)


def test_a_text_is_hashed_as_it_comes() -> None:
    with spool() as spooled:
        intake = Intake(spooled)
        intake.take(b"what was there before")
        intake.clear()
        intake.take(b"o")
        intake.take(b"ld")
        text = intake.text()

        assert Path(text.path).read_bytes() == b"old"
        assert text.handle == spooled.fileno()
        assert text.tag == f"{hashlib.sha256(b'old').hexdigest()} unsigned"
        assert (intake.beginning(2), repr(intake)) == (b"ol", "<Intake 3 bytes>")


def test_a_text_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "MAX_BYTES", 2)
    with spool() as spooled:
        intake = Intake(spooled)
        intake.take(b"xx")

        with pytest.raises(AwayError, match="larger than"):
            intake.take(b"x")


async def test_what_is_known_is_not_lent_again() -> None:
    source = Scripted(old)
    known = await tries(source)

    assert await tries(source, known) == "nothing new"


async def test_a_failure_is_told_with_the_name_of_the_source() -> None:
    assert await tries(Scripted(fails)) == "cannot read scripted: it is away"


async def test_a_look_that_takes_too_long_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_WITHIN_S", 0.01)

    async def hangs(_: Intake) -> Text:
        await asyncio.Event().wait()
        raise AssertionError

    assert await tries(Scripted(hangs)) == "cannot read scripted: not there in 0.01 s"


async def test_no_room_for_a_text_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(remote, "spool", full)

    assert await tries(Scripted(old)) == "cannot read scripted: Too many open files"


async def test_a_failure_of_whom_it_is_lent_to_is_theirs() -> None:
    source = Scripted(old)

    with pytest.raises(ConnectionError, match="theirs"):
        async with source.fetch(""):
            raise ConnectionError("theirs")

    assert repr(source) == "<Scripted scripted failures=0>"


async def test_no_descriptor_stays_open_whatever_comes_of_it() -> None:
    held = open_descriptors()

    for reading in (old, fails):
        await tries(Scripted(reading))

    assert open_descriptors() == held


async def test_it_is_looked_at_every_interval_give_or_take() -> None:
    pauses = [Scripted(old, 100.0).pause_s for _ in range(200)]

    assert 90.0 <= min(pauses) < 95.0
    assert 105.0 < max(pauses) <= 110.0


async def test_after_a_failure_it_is_looked_at_sooner_then_ever_more_rarely() -> None:
    source = Scripted(fails, 100.0)
    longest = []
    for _ in range(10):
        await tries(source)
        longest.append(max(source.pause_s for _ in range(200)))
    source.reading = old
    await tries(source)

    assert longest[0] <= 2.0
    assert longest[2] > 4.0
    assert 50.0 < longest[-1] <= 100.0
    assert source.pause_s >= 90.0


@given(st.integers(1, 10_000), st.floats(0.01, 10.0), st.floats(0.01, 100_000.0, exclude_min=True))
def test_a_pause_is_never_out_of_its_bounds(failures: int, least_s: float, most_s: float) -> None:
    pause_s = backoff_s(failures, least_s, most_s)

    assert min(least_s, most_s) <= pause_s <= most_s


class Looks:
    """Counts looks, and holds each until it is let go."""

    def __init__(self, source: RemoteSource) -> None:
        self.begun = 0
        self.at_once = 0
        self.most_at_once = 0
        self.go = asyncio.Event()
        self.go.set()
        self._source = source
        self._news = asyncio.Event()

    async def changed(self) -> None:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        self._news.set()
        await self.go.wait()
        self.at_once -= 1

    async def until(self, times: int) -> None:
        async with asyncio.timeout(WITHIN_S):
            while self.begun < times:
                self._news.clear()
                await self._news.wait()

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self._source.watch(self.changed))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task], timeout=WITHIN_S)
        assert self._task.cancelled()


async def test_watching_looks_again_and_again() -> None:
    async with Looks(Scripted(old, 0.01)) as looks:
        await looks.until(3)


async def test_news_are_a_reason_to_look_at_once() -> None:
    source = Scripted(old)
    async with Looks(source) as looks:
        source.tell()
        await looks.until(1)


async def test_a_storm_of_news_is_one_look_and_one_after_it() -> None:
    source = Scripted(old)
    async with Looks(source) as looks:
        looks.go.clear()
        source.tell()
        await looks.until(1)
        for _ in range(1000):
            source.tell()
            await asyncio.sleep(0)
        looks.go.set()
        await looks.until(2)

        assert (looks.begun, looks.most_at_once) == (2, 1)
