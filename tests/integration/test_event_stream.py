"""The event stream over real sockets: how it is asked for, framed and kept alive."""

import signal

import pytest

from tests.support.event_reader import CALLS, EventReader
from tests.support.messages import get, post
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

PATHS = ["/events", "/api/v1/events", "/api/v1/audit/stream", "/api/v1/servers/o/stream"]


@pytest.fixture
def sidecar(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", start_origin().url))


@pytest.mark.parametrize("path", PATHS)
def test_each_path_is_a_stream_that_nobody_keeps_or_holds_up(sidecar: Sidecar, path: str) -> None:
    with EventReader(sidecar.port, f"{path}?types=tool_invoked") as reader:
        sidecar.ask(post("/tools/o.call"))

        head = reader.head
        assert (head.status, reader.next().event) == (200, "tool_invoked")
    names = ("content-type", "cache-control", "x-accel-buffering", "transfer-encoding")
    assert [head.value(name) for name in names] == [
        "text/event-stream",
        "no-store",
        "no",
        "chunked",
    ]
    assert (head.values("content-length"), head.closes) == ([], False)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_other_methods_are_refused(sidecar: Sidecar, path: str, method: str) -> None:
    answer = sidecar.ask(
        f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n".encode()
    )

    lists = path.endswith("/events") and method != "HEAD"  # a list has a head
    assert (answer.status, answer.value("allow")) == (405, "GET, HEAD" if lists else "GET")


def test_caller_of_1_0_gets_plain_messages_until_the_end(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, CALLS, version="1.0") as reader:
        sidecar.ask(post("/tools/o.call"))
        first = reader.next()
        sidecar.signal(signal.SIGTERM)
        reader.rest()

    assert (reader.head.status, reader.chunked, reader.head.closes) == (200, False, True)
    assert reader.body.startswith(b"event: tool_invoked\nid: %b\ndata: {" % first.id.encode())


def test_caller_of_1_0_who_would_stay_is_told_that_he_can_not(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, CALLS, "Connection: keep-alive", version="1.0") as reader:
        sidecar.ask(post("/tools/o.call"))

        assert (reader.next().event, reader.chunked, reader.head.closes) == (
            "tool_invoked",
            False,
            True,
        )


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_keep_alive_is_a_comment_without_a_blank_line(
    start_origin: StartOrigin, start_sidecar: StartSidecar, version: str
) -> None:
    sidecar = start_sidecar(
        server("o", start_origin().url), settings={"events": {"keepalive": "200ms"}}
    )
    with EventReader(sidecar.port, CALLS, version=version) as reader:
        reader.until_comment(2)
        quiet = reader.body
        sidecar.ask(post("/tools/o.call"))
        told = reader.next()
        reader.until_comment(4)

    assert quiet == (b"5\r\n: ka\n\r\n" if version == "1.1" else b": ka\n") * 2
    assert reader.text.replace(b": ka\n", b"").endswith(b"data: %b\n\n" % told.data.encode())


def test_comments_do_not_wait_for_a_silence(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(
        server("o", start_origin().url), settings={"events": {"keepalive": "200ms"}}
    )
    with EventReader(sidecar.port, CALLS) as reader:
        while len(reader.parser.comments) < 3:
            sidecar.ask(post("/tools/o.call"))
            assert reader.next().event == "tool_invoked"

    assert reader.framing.chunks.count(b": ka\n") >= 3


def test_request_with_a_body_is_a_stream_all_the_same(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, CALLS, "Content-Length: 5") as reader:
        reader.caller.send(b"hello")
        sidecar.ask(post("/tools/o.call"))

        assert (reader.head.status, reader.next().event) == (200, "tool_invoked")


def test_request_behind_the_stream_waits_for_its_end(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, CALLS) as reader:
        reader.caller.send(get("/livez") * 3)
        sidecar.ask(post("/tools/o.call"))
        sidecar.ask(post("/tools/o.call"))

        assert [each.event for each in reader.take(2)] == ["tool_invoked"] * 2


def test_caller_who_leaves_gives_his_place_back(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(
        server("o", start_origin().url), settings={"events": {"max_subscribers": 2}}
    )
    with EventReader(sidecar.port) as stays, EventReader(sidecar.port) as leaves:
        refused = sidecar.get("/events")
        leaves.caller.leave()
        with _comes_in(sidecar) as late:
            sidecar.ask(post("/tools/o.call"))
            kinds = {reader.until_kind("tool_invoked").event for reader in (stays, late)}

    assert (refused.status, kinds) == (503, {"tool_invoked"})
    assert int(refused.value("retry-after") or 0) > 0


@pytest.mark.parametrize("way", ["half_close", "reset"])
def test_caller_who_ends_in_any_way_is_gone(
    start_origin: StartOrigin, start_sidecar: StartSidecar, way: str
) -> None:
    sidecar = start_sidecar(
        server("o", start_origin().url), settings={"events": {"max_subscribers": 1}}
    )
    with EventReader(sidecar.port) as reader:
        getattr(reader.caller, way)()

        with _comes_in(sidecar) as late:
            assert late.head.status == 200


def test_caller_who_half_closes_may_listen_on(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings={"half_close": True})
    with EventReader(sidecar.port, CALLS) as reader:
        reader.caller.half_close()
        sidecar.ask(post("/tools/o.call"))

        assert reader.next().event == "tool_invoked"


def _comes_in(sidecar: Sidecar) -> EventReader:
    """A subscriber, as soon as there is a place."""

    def tried() -> EventReader | None:
        reader = EventReader(sidecar.port)
        if reader.head.status == 200:
            return reader
        reader.caller.leave()
        return None

    reader = eventually(tried)
    assert reader, "no place became free"
    return reader
