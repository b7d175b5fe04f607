"""The bus where there is no Redis, or something else in its place."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable
from time import perf_counter

import pytest

from proxy.events.bus import Bus, BusUnavailableError
from proxy.events.bus_stream import PAGE_ENTRIES
from tests.support.bus_party import Party, until
from tests.support.ports import refusing_port


def nowhere(data: bytes, stream_id: bytes | None) -> None:
    raise AssertionError((data, stream_id))


def same(octets: bytes) -> Callable[[bytes], bytes]:
    return lambda _: octets


def endless(question: bytes) -> bytes:
    """A stream whose end nobody reaches: a full page after every place."""
    if b"EXISTS" in question:
        return b":0\r\n"
    after = int(question.rsplit(b"\r\n", 2)[1].partition(b"-")[0])
    entries = b"".join(
        b"*2\r\n$%d\r\n%d-0\r\n*0\r\n" % (len(f"{number}-0"), number)
        for number in range(after + 1, after + 1 + PAGE_ENTRIES)
    )
    return b"*1\r\n*2\r\n$1\r\ns\r\n*%d\r\n%b" % (PAGE_ENTRIES, entries)


@contextlib.asynccontextmanager
async def answering(script: Callable[[bytes], bytes]) -> AsyncIterator[str]:
    """The address of something that answers, by a script."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while question := await reader.read(65_536):
                writer.write(script(question))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_it_says_of_itself_where_it_stands() -> None:
    bus = Bus("redis://:secret@host/3", nowhere)
    bus.publish(b"a", b"{}")

    assert repr(bus) == "<Bus connecting redis://***@host/3 backlog=1 dropped=0>"
    assert (bus.state, bus.problem, bus.bad) == ("connecting", "", 0)


async def test_without_the_extra_it_is_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(BusUnavailableError, match="needs the extra"):
        Bus("redis://host", nowhere)


async def test_while_redis_is_away_events_are_local_in_their_order() -> None:
    with refusing_port() as port:
        async with Party(f"redis://127.0.0.1:{port}", "a").running() as a:
            a.publish(3)
            await until(lambda: len(a.got) >= 3)
            a.publish(2)
            await until(lambda: len(a.got) >= 5)
            problem = a.bus.problem

    assert a.local == a.published
    assert "connecting to 127.0.0.1" in problem


async def test_a_redis_that_stays_away_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with refusing_port() as port:
        async with Party(f"redis://127.0.0.1:{port}", "a").running() as a:
            await a.publish_for(0.5, every_s=0.01)

    (record,) = caplog.records
    assert (record.name, record.levelname) == ("toolproxy.events", "WARNING")
    assert record.exc_info is None


async def test_it_comes_back_after_spans_that_grow_to_two_seconds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans: list[tuple[float, float]] = []

    def shortest(least_s: float, most_s: float) -> float:
        spans.append((least_s, most_s))
        return 0.0

    monkeypatch.setattr("proxy.events.bus.uniform", shortest)
    with refusing_port() as port:
        async with Party(f"redis://127.0.0.1:{port}", "a").running():
            await until(lambda: len(spans) >= 7)

    assert [most_s for _, most_s in spans[:7]] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert all(least_s == most_s / 2 for least_s, most_s in spans)


async def test_the_backlog_is_bounded_and_all_of_it_was_shown() -> None:
    with refusing_port() as port:
        async with Party(f"redis://127.0.0.1:{port}", "a").running() as a:
            for _ in range(13):
                a.publish(1_000)
                shown = len(a.published)
                await until(lambda shown=shown: len(a.got) >= shown)  # type: ignore[misc] # bound

    assert (a.bus.backlog, a.bus.dropped) == (10_000, 3_000)
    assert a.local == a.published


async def test_close_does_not_wait_for_a_redis_that_is_away() -> None:
    with refusing_port() as port:
        async with Party(f"redis://127.0.0.1:{port}", "a").running() as a:
            a.publish()
            await until(lambda: a.local)
            began_at = perf_counter()
            await a.bus.close()

    assert perf_counter() - began_at < 0.9


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"-LOADING Redis is loading the dataset in memory\r\n", id="loading"),
        pytest.param(b"-MISCONF it cannot write\r\n", id="misconfigured"),
        pytest.param(b"-NOPERM no\r\n", id="no-permission"),
        pytest.param(b"-MOVED 1 10.0.0.1:6379\r\n", id="cluster"),
        pytest.param(b":1\r\n", id="a-number-to-everything"),
        pytest.param(b"+OK\r\n", id="ok-to-everything"),
        pytest.param(b"*-1\r\n", id="nil-to-everything"),
        pytest.param(b"$x\r\n", id="length-is-a-word"),
        pytest.param(b"$99999999999\r\n", id="endless-word"),
        pytest.param(b"*1\r\n" * 5_000, id="deep"),
        pytest.param(b"\x00\xff\r\n\r\n", id="noise"),
        pytest.param(b"x" * 200_000, id="endless-line"),
    ],
)
async def test_what_is_no_redis_is_away(octets: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with answering(same(octets)) as url, Party(url, "a").running() as a:
        a.publish()
        await until(lambda: a.got)
        await until(lambda: a.bus.problem)

    assert a.local == a.published
    assert "Traceback" not in caplog.text


async def test_a_stream_that_takes_long_to_read_delays_no_local_event() -> None:
    async with answering(endless) as url, Party(url, "a").running() as a:
        a.publish()
        await until(lambda: a.got)

        assert (a.bus.state, a.local) == ("away", ["a-0"])


async def test_many_events_do_not_hold_the_loop() -> None:
    turns = 0
    ran: list[int] = []

    def slow(data: bytes, stream_id: bytes | None) -> None:
        del data, stream_id
        ran.append(turns)
        ends_at = perf_counter() + 0.000_2
        while perf_counter() < ends_at:
            pass

    with refusing_port() as port:
        bus = Bus(f"redis://127.0.0.1:{port}", slow)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(bus.run())
            for number in range(500):
                bus.publish(b"%d" % number, b"{}")
            while len(ran) < 500:
                turns += 1
                await asyncio.sleep(0)
            task.cancel()

    assert max(ran.count(turn) for turn in set(ran)) <= 4
