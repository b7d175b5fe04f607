"""`toolproxy events` in a pipe: the past, what it adds up to, and the present."""

import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import orjson
import pytest

from tests.support import forks
from tests.support.loop_thread import LoopThread
from tests.support.messages import ok, post
from tests.support.origin import Origin, Visit
from tests.support.sidecar import (
    START_WITHIN_S,
    Sidecar,
    environment,
    run_command,
    server,
)
from tests.support.starters import StartOrigin, StartSidecar

STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", origin.url), server("p", origin.url))


def url(sidecar: Sidecar) -> str:
    return f"http://127.0.0.1:{sidecar.port}"


def call(sidecar: Sidecar, tool: str, trace: str) -> None:
    sidecar.ask(post(f"/tools/{tool}", b"X-Chora-Trace-Id: " + trace.encode()))


def listed(sidecar: Sidecar, *arguments: str) -> list[Any]:
    done = run_command("events", *arguments, "--url", url(sidecar))
    assert (done.returncode, done.stderr) == (0, ""), done
    return [orjson.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def followed(where: str, *arguments: str) -> Iterator[forks.Piped]:
    piped = forks.start_piped(["events", "--follow", *arguments, "--url", where], environment({}))
    with closing(piped):
        yield piped
        piped.process.kill()
        piped.process.wait(START_WITHIN_S)


def next_of(piped: forks.Piped) -> Any:
    return orjson.loads(piped.stdout.readline())


@pytest.mark.parametrize(
    ("arguments", "traces"),
    [
        pytest.param(("--type", "tool_invoked"), ["a", "b", "c"], id="type"),
        pytest.param(("--type", "tool_invoked,nothing", "--server", "p"), ["b"], id="server"),
        pytest.param(("--trace", "c"), ["c"], id="trace"),
        pytest.param(("--status", "failure"), ["c"], id="status"),
        pytest.param(("--type", "tool_invoked", "--limit", "2"), ["b", "c"], id="limit"),
        pytest.param(("--since", "1h", "--type", "tool_invoked"), ["a", "b", "c"], id="since"),
        pytest.param(("--since", "9999-01-01T00:00:00+02:00"), [], id="since-what-comes"),
    ],
)
def test_the_past_is_listed_by_its_filters(
    sidecar: Sidecar, arguments: tuple[str, ...], traces: list[str]
) -> None:
    call(sidecar, "o.call", "a")
    call(sidecar, "p.call", "b")
    call(sidecar, "o.nothing", "c")

    assert [each["trace_id"] for each in listed(sidecar, *arguments)] == traces


def test_a_trace_is_summed_up(sidecar: Sidecar) -> None:
    call(sidecar, "o.call", "a")
    call(sidecar, "o.nothing", "a")

    (found,) = listed(sidecar, "--summary", "--trace", "a")

    assert (found["total_events"], found["success_count"], found["error_count"]) == (2, 1, 1)


def test_what_is_followed_begins_behind_what_was_listed(sidecar: Sidecar) -> None:
    call(sidecar, "o.call", "before")

    with followed(url(sidecar), "--type", "tool_invoked", "--limit", "1") as piped:
        traces = [next_of(piped)["trace_id"]]
        call(sidecar, "o.call", "after")
        traces.append(next_of(piped)["trace_id"])
        piped.process.send_signal(signal.SIGINT)
        status = piped.process.wait(START_WITHIN_S)

    assert (traces, status) == (["before", "after"], 0)


def test_what_comes_while_the_past_is_listed_is_shown_once(
    start_origin: StartOrigin, loop_thread: LoopThread
) -> None:
    begun_at: list[str | None] = []
    held = loop_thread.gate()

    async def busy(visit: Visit) -> None:
        if b"format=json" in visit.target:
            listed = b"e-5" if b"limit=1&" in visit.target + b"&" else b"e-6"
            await visit.send(ok(b'{"events": [{"event_id": "%b"}]}' % listed))
            return
        begun_at.append(visit.value("last-event-id"))
        events = [b'id: e-%d\ndata: {"event_id": "e-%d"}\n\n' % (n, n) for n in (6, 7)]
        await visit.send(STREAM + b"".join(events))
        await held.passed()

    with followed(start_origin(busy).url, "--limit", "7") as piped:
        ids = [next_of(piped)["event_id"], next_of(piped)["event_id"]]

    assert (ids, begun_at) == (["e-6", "e-7"], ["e-5"])


def test_a_stream_that_breaks_is_taken_up_again(
    start_origin: StartOrigin, loop_thread: LoopThread
) -> None:
    ids: list[str | None] = []
    held = loop_thread.gate()

    async def breaks(visit: Visit) -> None:
        ids.append(visit.value("last-event-id"))
        number = b"%d" % len(ids)
        event = b'retry: 1\nevent: tick\nid: e-%b\ndata: {"n": %b}\n\n' % (number, number)
        await visit.send(STREAM + event)
        if len(ids) > 1:
            await held.passed()
        visit.close()

    with followed(start_origin(breaks).url) as piped:
        found = [next_of(piped), next_of(piped)]

    assert (found, ids) == (
        [{"event_type": "tick", "n": 1}, {"event_type": "tick", "n": 2}],
        [None, "e-1"],
    )


def test_what_is_no_json_is_a_message(start_origin: StartOrigin, loop_thread: LoopThread) -> None:
    held = loop_thread.gate()

    async def talks(visit: Visit) -> None:
        await visit.send(STREAM + b"data: hello\ndata: there\n\n")
        await held.passed()

    with followed(start_origin(talks).url) as piped:
        found = next_of(piped)

    assert found == {"event_type": "message", "message": "hello\nthere"}


def test_nobody_who_reads_ends_it_quietly(sidecar: Sidecar) -> None:
    call(sidecar, "o.call", "before")
    with followed(url(sidecar), "--type", "tool_invoked", "--limit", "1") as piped:
        next_of(piped)
        piped.stdout.close()
        call(sidecar, "o.call", "after")

        status = piped.process.wait(START_WITHIN_S)

        assert (status, piped.stderr.read()) == (0, b"")
