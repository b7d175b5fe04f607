"""Loads on a real server: every call is counted once, and charged for all that it waited."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.benchmarks.load.running import Load, ended, start_load
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, message, ok
from tests.support.origin import Origin, Script, Visit
from tests.support.scripts import answers, echo, holds, in_turn, sends_and_resets
from tests.support.starters import StartOrigin
from tests.support.waiting import eventually

pytestmark = pytest.mark.sockets

SHORT = ("-d", "200ms", "-c", "3")
MANY = ("-c", "100")  # so that no call waits for a connection, however slow the machine is
CHUNKED = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(b"abc", b"d"))
ENDLESS = message(b"HTTP/1.1 200 OK", body=b"until the end")
CLOSING = ok(b"ok", b"Connection: close")
NOT_FOUND = message(b"HTTP/1.1 404 No", b"Content-Length: 0")
BROKEN = message(b"HTTP/1.1 500 Oh", b"Content-Length: 0")


def stalls(after_s: float, for_s: float) -> Script:
    """Answer at once, but for a span in which nobody is answered."""
    begun: list[float] = []

    async def script(visit: Visit) -> None:
        await visit.read()
        begun.append(time.monotonic())
        passed_s = begun[-1] - begun[0]
        if after_s <= passed_s < after_s + for_s:
            await asyncio.sleep(after_s + for_s - passed_s)
        await visit.send(ok())

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answers(ok()), id="sized"),
        pytest.param(answers(CHUNKED), id="chunked"),
        pytest.param(answers(ENDLESS, close=True), id="until-close"),
        pytest.param(answers(CLOSING, close=True), id="closing"),
    ],
)
def test_closed_loop_counts_each_call_that_the_server_saw(
    start_origin: StartOrigin, load: Load, script: Script
) -> None:
    origin = start_origin(script)

    done = load(origin.url, *SHORT)

    assert (done.status, done.complained, done.figures["errors"]["total"]) == (0, "", 0)
    assert done.figures["calls"] == len(origin.calls) > 3
    assert done.figures["statuses"] == {"200": len(origin.calls)}


def test_connections_are_kept_and_all_used(start_origin: StartOrigin, load: Load) -> None:
    origin = start_origin(answers(ok()))

    load(origin.url, *SHORT)

    assert len(origin.connections) == 3
    assert all(connection.visits for connection in origin.connections)


def test_open_loop_makes_the_calls_that_are_due(start_origin: StartOrigin, load: Load) -> None:
    origin = start_origin(answers(ok()))

    done = load(origin.url, "--rate", "200", "-d", "500ms", *MANY)

    assert (done.figures["calls"], len(origin.calls)) == (100, 100)
    assert done.figures["rate_per_s"] == pytest.approx(200)


def test_rate_rises_over_the_ramp(start_origin: StartOrigin, load: Load) -> None:
    origin = start_origin(answers(ok()))

    load(origin.url, "--rate", "200", "-d", "500ms", "--ramp", "500ms", *MANY)

    assert len(origin.calls) == 50


def test_warm_up_is_made_and_not_measured(start_origin: StartOrigin, load: Load) -> None:
    origin = start_origin(answers(ok()))

    done = load(origin.url, "--rate", "100", "-d", "300ms", "--warmup", "200ms", *MANY)

    assert (done.figures["calls"], len(origin.calls)) == (30, 50)


def test_stall_is_charged_to_every_call_that_was_due_in_it(
    start_origin: StartOrigin, load: Load
) -> None:
    """40 of 100 calls are due in the stall; two were sent before it began, and no more could be."""
    origin = start_origin(stalls(0.3, 0.4))

    done = load(origin.url, "--rate", "100", "-d", "1s", "-c", "2")

    charged, felt = (done.figures[key]["p75"] for key in ("latency_ms", "service_ms"))
    assert charged > 100 > felt
    behind = done.figures["behind_schedule"]
    assert behind["waited"] > 25
    assert done.figures["calls"] + behind["unsent"] == 100


def test_generator_that_was_kept_from_calling_says_that_it_was_the_limit(
    start_origin: StartOrigin, tmp_path: Path
) -> None:
    origin = start_origin(answers(ok()))
    path = tmp_path / "figures.json"
    process = start_load(origin.url, "--rate", "200", "-d", "1s", *MANY, "--json", str(path))
    eventually(lambda: len(origin.calls) > 10)

    process.send_signal(signal.SIGSTOP)
    time.sleep(0.3)  # in which 60 calls are due
    process.send_signal(signal.SIGCONT)

    figures = ended(process, path).figures
    assert (figures["limited_by"], figures["calls"]) == ("generator", 200)
    assert figures["behind_schedule"]["overslept"] > 30
    assert figures["latency_ms"]["max"] > 250


def test_calls_that_are_never_sent_are_charged_too(
    start_origin: StartOrigin, load: Load, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))

    done = load(origin.url, "--rate", "100", "-d", "400ms", "-c", "1", "--timeout", "600ms")

    assert (done.figures["calls"], done.figures["behind_schedule"]["unsent"]) == (1, 39)
    assert done.figures["latency_ms"]["p50"] > 100


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param(answers(NOT_FOUND), "4xx", id="not-found"),
        pytest.param(answers(BROKEN), "5xx", id="broken"),
        pytest.param(sends_and_resets(b""), "reset", id="reset"),
        pytest.param(answers(ok(b"whole")[:-1], close=True), "closed", id="closed-too-soon"),
        pytest.param(answers(b"SSH-2.0-x\r\n\r\n"), "malformed", id="not-http"),
        pytest.param(answers(ok() + b"x"), "malformed", id="too-much"),
    ],
)
def test_error_is_counted_by_its_kind(
    start_origin: StartOrigin, load: Load, script: Script, kind: str
) -> None:
    origin = start_origin(in_turn(script, script, answers(ok())))

    done = load(origin.url, *SHORT)

    kinds = {name: count for name, count in done.figures["errors"]["kinds"].items() if count}
    assert (done.status, kinds) == (0, {kind: 2})
    assert done.figures["calls"] == len(origin.calls) > 2


def test_call_without_an_answer_times_out(
    start_origin: StartOrigin, load: Load, loop_thread: LoopThread
) -> None:
    origin = start_origin(in_turn(holds(loop_thread.gate()), answers(ok())))

    done = load(origin.url, *SHORT, "--timeout", "300ms")

    assert done.figures["errors"]["kinds"]["timeout"] == 1
    assert done.figures["latency_ms"]["max"] >= 300


def test_target_that_goes_away_is_refused_calls(start_origin: StartOrigin, load: Load) -> None:
    async def leaves(visit: Visit) -> None:
        await visit.read()
        server = origin._server
        assert server is not None
        server.close()
        visit.close()

    origin = start_origin(leaves)

    done = load(origin.url, "--rate", "100", "-d", "300ms", "-c", "1", "--errors", "1%")

    kinds = done.figures["errors"]["kinds"]
    assert (done.status, len(origin.calls), kinds["closed"]) == (1, 1, 1)
    assert done.figures["calls"] == 1 + kinds["refused"] > 10


def test_request_is_sent_as_given(start_origin: StartOrigin, load: Load, tmp_path: Path) -> None:
    origin = start_origin(echo)
    body = bytes(range(256)) * 400
    (tmp_path / "body").write_bytes(body)
    (tmp_path / "headers").write_bytes(b"X-A: one\r\n\r\nX-B:  two \n")
    given = ("--body", f"@{tmp_path / 'body'}", "--header", f"@{tmp_path / 'headers'}")

    done = load(f"{origin.url}/a?b=%20", *SHORT, *given, "--header", "Host: else")

    visit = origin.calls[-1]
    assert done.figures["errors"]["total"] == 0
    assert (visit.method, visit.target, bytes(visit.body)) == (b"POST", b"/a?b=%20", body)
    assert [visit.value(name) for name in ("x-a", "x-b", "host")] == ["one", "two", "else"]


def test_answer_to_head_has_no_body(start_origin: StartOrigin, load: Load) -> None:
    origin = start_origin(answers(ok(b"body").removesuffix(b"body")))

    done = load(origin.url, *SHORT, "--method", "HEAD")

    assert (done.figures["calls"], done.figures["errors"]["total"]) == (len(origin.calls), 0)


def test_unix_socket_is_called(loop_thread: LoopThread, load: Load, tmp_path: Path) -> None:
    origin = Origin(answers(ok()))
    loop_thread.run(origin.start_on_path(tmp_path / "socket"))

    done = load("http://tools.example/x", *SHORT, "--unix", str(tmp_path / "socket"))

    loop_thread.run(origin.stop())
    assert (done.status, done.figures["calls"]) == (0, len(origin.calls))
    assert origin.calls[0].value("host") == "tools.example"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_load_and_not_the_report(
    start_origin: StartOrigin, tmp_path: Path, number: signal.Signals
) -> None:
    origin = start_origin(answers(ok()))
    path = tmp_path / "figures.json"
    process = start_load(origin.url, "-c", "2", "-d", "1m", "--p99", "10s", "--json", str(path))
    eventually(lambda: len(origin.calls) > 10)

    process.send_signal(number)

    done = ended(process, path)
    assert (done.status, done.complained, done.figures["interrupted"]) == (0, "", True)
    assert done.figures["calls"] == len(origin.calls)
    assert "ended early" in done.said


def test_second_signal_waits_for_no_answer(
    start_origin: StartOrigin, tmp_path: Path, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    path = tmp_path / "figures.json"
    process = start_load(origin.url, "-c", "1", "-d", "1m", "--timeout", "1m", "--json", str(path))
    eventually(lambda: origin.calls)

    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)

    done = ended(process, path)
    assert (done.status, done.figures["calls"]) == (0, 0)
