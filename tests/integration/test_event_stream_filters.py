"""What a subscriber of the event stream may ask for, and what comes of a bad question."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.event_reader import EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.scripts import echo
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar

END = b"X-Chora-Trace-Id: the-end"


@pytest.fixture(scope="module")
def sidecar(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """One for all: the questions leave no state behind."""
    origin = Origin(echo)
    loop_thread.run(origin.start())
    servers = registry(server("a", origin.url), server("b", origin.url))
    settings = {"events": {"keepalive": "100ms"}}
    shared = Sidecar(tmp_path_factory.mktemp("filters"), servers, settings)
    yield shared
    shared.close()
    loop_thread.run(origin.stop())


def seen(sidecar: Sidecar, target: str) -> list[str]:
    """Traces of the calls that this stream tells of, of five different ones."""
    with EventReader(sidecar.port) as all_of_it, EventReader(sidecar.port, target) as reader:
        assert reader.head.status == 200, reader.head
        for trace, path in (
            ("a-well", "/tools/a.call"),
            ("a-badly", "/tools/a.call"),
            ("b-well", "/tools/b.call"),
            ("nobody", "/tools/c.call"),
        ):
            fields = [b"Request-Timeout: nonsense"] if trace == "a-badly" else []
            sidecar.ask(post(path, b"X-Chora-Trace-Id: " + trace.encode(), *fields))
        sidecar.ask(post("/tools/a.call", END))
        all_of_it.until(lambda each: each.json()["trace_id"] == "the-end")
        comments = len(reader.parser.comments)
        reader.until_comment(comments + 2)  # what was told before the end was told before these
        told = [message.json() for message in reader.waiting]
    return [str(each["trace_id"]) for each in told]


@pytest.mark.parametrize(
    ("target", "traces"),
    [
        ("/events?types=tool_invoked", ["a-well", "a-badly", "b-well", "nobody", "the-end"]),
        ("/events?event_type=tool_invoked&server=b", ["b-well"]),
        ("/events?server=a&types=tool_invoked", ["a-well", "a-badly", "the-end"]),
        ("/events?trace_id=b-well", ["b-well"]),
        ("/events?types=tool_invoked&status=failure", ["a-badly", "nobody"]),
        ("/events?types=tool_invoked&status=error", ["a-badly", "nobody"]),
        ("/events?types=tool_invoked&status=success&server=a", ["a-well", "the-end"]),
        ("/events?types=%20tool_invoked%20,,x&server=b", ["b-well"]),
        ("/events?types=x&types=tool_invoked&server=b", ["b-well"]),
        ("/events?types=&trace_id=b-well", ["b-well"]),
        ("/events?types=,&server=&trace_id=b-well&status=", ["b-well"]),
        ("/events?types=tool_invoked&server=b&trace_id=a-well", []),
        ("/events?types=TOOL_INVOKED", []),
        ("/events?types=tool_invoked&server=nobody", []),
        ("/api/v1/servers/b/stream?types=tool_invoked", ["b-well"]),
        ("/api/v1/servers/b/stream?types=tool_invoked&server=a", ["b-well"]),
        ("/api/v1/audit/stream", ["a-well", "a-badly", "b-well", "nobody", "the-end"]),
        ("/api/v1/audit/stream?types=authorization_denied", []),
        ("/api/v1/audit/stream?types=tool_invoked&server=b", ["b-well"]),
        ("/api/v1/audit/stream?types=server_health", []),
        ("/api/v1/audit/stream?types=server_health,gateway_started", []),
    ],
)
def test_stream_tells_what_was_asked_for(sidecar: Sidecar, target: str, traces: list[str]) -> None:
    assert seen(sidecar, target) == traces


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/servers/nobody/stream",
        "/api/v1/servers/A/stream",
        "/api/v1/servers/%ff/stream",
        "/api/v1/servers/%0a/stream",
        "/api/v1/servers/server-a/stream",
        "/api/v1/servers//stream",
        "/api/v1/servers/a%2f..%2fb/stream",
    ],
)
def test_server_that_nobody_knows_has_no_stream(sidecar: Sidecar, target: str) -> None:
    answer = sidecar.get(target)

    assert (answer.status, answer.value("content-type")) == (404, "application/problem+json")


@pytest.mark.parametrize("key", ["types", "event_type", "server", "trace_id", "status"])
@pytest.mark.parametrize("path", ["/events", "/api/v1/audit/stream", "/api/v1/servers/a/stream"])
def test_filter_that_is_too_long_is_refused(sidecar: Sidecar, path: str, key: str) -> None:
    answer = sidecar.get(f"{path}?{key}={'x' * 513}")

    assert (answer.status, key in str(answer.json()["detail"])) == (400, True)


def test_long_filter_behind_a_short_one_is_refused_too(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, f"/events?types=a&types={'x,' * 300}") as reader:
        assert reader.head.status == 400


def test_audit_tells_refusals_to_who_asks_for_them_alone(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    own = start_sidecar(server("a", start_origin().url))
    target = "/api/v1/audit/stream?types=authorization_denied"
    with EventReader(own.port, target) as reader:
        own.ask(post("/tools/a.call"))
        own.ask(get("/health", b"Origin: http://elsewhere.example"))

        assert reader.next().event == "authorization_denied"


@pytest.mark.parametrize(
    "value", ["\ud800", "\x00", "\r\nevent: x", "é", "\u2028", "🙂", "%", "+", "&", "#"]
)
@pytest.mark.parametrize("key", ["types", "server", "trace_id", "status", "last_event_id"])
def test_filter_of_any_characters_is_a_stream(sidecar: Sidecar, key: str, value: str) -> None:
    quoted = quote(value.encode("utf-8", "surrogatepass"))

    with EventReader(sidecar.port, f"/events?types=x&{key}={quoted}") as reader:
        assert reader.head.status == 200


def test_ten_thousand_wishes_are_refused_or_served(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(
        server("a", start_origin().url),
        settings={"limits": {"request_line": "256KiB", "head": "256KiB"}},
    )
    kinds = ",".join(f"k{number}" for number in range(10_000))

    assert sidecar.get(f"/events?types={kinds}").status == 400
