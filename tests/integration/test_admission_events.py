"""Who hears of what? A caller of what it may call itself; an operator of all.

By every way in: streams, replays, queries, summaries. And refusals cannot flush out the rest.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    bearer,
    shared_scene,
    usual,
    verdict,
    x_api_key,
)
from tests.support.admission_tokens import token, trusting
from tests.support.event_reader import EventReader, Message
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

Scene = tuple[Origin, Sidecar]
TOOLS: Final = ("ox.call", "p.b.c", "o.call", "p.call", "ox.call", "o.b.c")
SEEN_BY_CI: Final = ["o.call", "p.call", "o.b.c"]
STREAMS: Final = {
    "/events": SEEN_BY_CI,
    "/events?types=tool_invoked": SEEN_BY_CI,
    "/events?server=o": ["o.call", "o.b.c"],
    "/api/v1/events": SEEN_BY_CI,
    "/api/v1/audit/stream": SEEN_BY_CI,
    "/api/v1/servers/o/stream": ["o.call", "o.b.c"],
    "/api/v1/servers/p/stream": ["p.call"],
    "/events?trace_id=whole": SEEN_BY_CI,
}
END: Final = b"X-Chora-Trace-Id: whole"


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    directory = tmp_path_factory.mktemp("events")
    settings = usual(events={"keepalive": "100ms", "journal": str(directory / "events.jsonl")})
    with shared_scene(loop_thread, directory, settings) as made:
        yield made


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


def tool_of(event: dict[str, Any]) -> str:
    return f"{event.get('server_name')}.{event.get('tool_name')}"


def calls_made(sidecar: Sidecar, trace_id: str = "whole") -> None:
    """An operator calls everything, in this order."""
    for tool in TOOLS:
        fields = (AS_OPS, b"X-Chora-Trace-Id: " + trace_id.encode())
        assert sidecar.ask(post(f"/tools/{tool}", *fields)).status == 200


def heard(reader: EventReader) -> list[Message]:
    """All that is told until two keep-alives have passed."""
    comments = len(reader.parser.comments)
    reader.until_comment(comments + 2)
    found, reader.waiting = reader.waiting, []
    return found


def calls_among(messages: list[Message]) -> list[str]:
    return [tool_of(each.json()) for each in messages if each.event == "tool_invoked"]


@pytest.mark.parametrize(("target", "tools"), STREAMS.items(), ids=STREAMS)
def test_stream_tells_a_caller_of_what_it_may_call(
    sidecar: Sidecar, target: str, tools: list[str]
) -> None:
    with (
        EventReader(sidecar.port, "/events", AS_OPS.decode()) as all_of_it,
        EventReader(sidecar.port, target, AS_CI.decode()) as reader,
    ):
        assert reader.head.status == 200
        calls_made(sidecar)
        all_of_it.until(lambda each: tool_of(each.json()) == TOOLS[-1])

        assert calls_among(heard(reader)) == tools


def test_operator_hears_all(sidecar: Sidecar) -> None:
    target = "/events?types=tool_invoked"
    with EventReader(sidecar.port, target, AS_OPS.decode()) as reader:
        calls_made(sidecar)

        assert calls_among(reader.take(len(TOOLS))) == list(TOOLS)


@pytest.mark.parametrize("name", ["Last-Event-ID", "last_event_id"])
def test_replay_tells_a_caller_no_more_than_the_stream(sidecar: Sidecar, name: str) -> None:
    target = "/events?types=tool_invoked"
    with EventReader(sidecar.port, target, AS_OPS.decode()) as reader:
        calls_made(sidecar, "first")
        first = reader.take(len(TOOLS))[0]
        calls_made(sidecar, "again")
        reader.take(len(TOOLS))

    fields = [f"Last-Event-ID: {first.id}"] if name == "Last-Event-ID" else []
    query = "" if fields else f"&last_event_id={first.id}"
    with EventReader(sidecar.port, target + query, AS_CI.decode(), *fields) as reader:
        told = heard(reader)

    assert calls_among(told) == [*SEEN_BY_CI, *SEEN_BY_CI]
    assert [each for each in told if each.event == "gap"] == []


@pytest.mark.parametrize("last", ["x-0", "other-17", "'", "0"])
def test_replay_from_anywhere_tells_no_more(sidecar: Sidecar, last: str) -> None:
    calls_made(sidecar)

    with EventReader(sidecar.port, "/events", AS_CI.decode(), f"Last-Event-ID: {last}") as reader:
        told = heard(reader)

    assert set(calls_among(told)) <= set(SEEN_BY_CI)
    assert {each.json().get("server_name") for each in told} <= {"o", "p", None}


@pytest.mark.parametrize(
    "query",
    ["", "&trace_id=asked", "&since=24h", "&server=ox", "&limit=1000&since=24h", "&status=success"],
)
@pytest.mark.parametrize("path", ["/events", "/api/v1/events"])
def test_query_tells_a_caller_no_more(sidecar: Sidecar, path: str, query: str) -> None:
    calls_made(sidecar, "asked")

    def asked(key: bytes) -> list[dict[str, Any]]:
        found = sidecar.ask(get(f"{path}?format=json{query}", key)).json()["events"]
        assert isinstance(found, list)
        return found

    assert eventually(lambda: asked(AS_OPS))
    told = asked(AS_CI)
    calls = {tool_of(each) for each in told if each["event_type"] == "tool_invoked"}
    assert calls <= set(SEEN_BY_CI)
    assert {each.get("server_name") for each in told} <= {"o", "p", None}
    assert {each["event_type"] for each in told} <= {"tool_invoked", "server_health"}


def test_limit_counts_what_is_shown(sidecar: Sidecar) -> None:
    """Else how many are missing from a page would tell of what others do."""
    calls_made(sidecar, "limited")
    target = "/events?format=json&trace_id=limited&limit=2"

    told = sidecar.ask(get(target, AS_CI)).json()["events"]

    assert isinstance(told, list)
    assert len(told) == 2


def test_summary_counts_what_the_caller_may_see(sidecar: Sidecar) -> None:
    calls_made(sidecar, "summed")

    mine, all_of_it = (
        sidecar.ask(get("/events/summed/summary", key)).json() for key in (AS_CI, AS_OPS)
    )

    assert (mine["total_events"], all_of_it["total_events"]) == (len(SEEN_BY_CI), len(TOOLS))
    assert b"ox" not in orjson.dumps(mine["by_tool"])


def test_trace_of_others_is_not_told_from_none(sidecar: Sidecar) -> None:
    sidecar.ask(post("/tools/ox.call", AS_OPS, b"X-Chora-Trace-Id: of-others"))

    theirs, nobodys = (
        sidecar.ask(get(f"/events/{trace}/summary", AS_CI)) for trace in ("of-others", "nobodys-x")
    )

    assert theirs.body.replace(b"of-others", b"") == nobodys.body.replace(b"nobodys-x", b"")


def test_stream_of_a_server_of_others_is_not_told_from_none(sidecar: Sidecar) -> None:
    theirs, nobodys = (
        sidecar.ask(get(f"/api/v1/servers/{name}/stream", AS_CI)) for name in ("ox", "no")
    )

    assert verdict(theirs) == verdict(nobodys) == (404, "namespace_not_found")
    assert (
        str(theirs.json()["detail"]).replace("called ox", "called no") == (nobodys.json()["detail"])
    )


@pytest.mark.parametrize("target", ["/events", "/api/v1/audit/stream"])
def test_refusals_of_others_are_the_operators(sidecar: Sidecar, target: str) -> None:
    with (
        EventReader(sidecar.port, target, AS_CI.decode()) as reader,
        EventReader(sidecar.port, target, AS_OPS.decode()) as all_of_it,
    ):
        sidecar.ask(post("/tools/ox.call", AS_NOBODY))
        sidecar.ask(post("/tools/nobody.none", AS_CI))
        denied = all_of_it.until_kind("authorization_denied").json()

        assert denied["reason"]
        assert denied["error_code"] in {"unauthenticated", "forbidden"}
        told = [each.json() for each in heard(reader) if each.event == "authorization_denied"]
        assert {each["subject"] for each in told} <= {"ci"}


def test_equal_refusals_are_folded_with_their_count(
    sidecar: Sidecar,
) -> None:
    target = "/events?types=authorization_denied"
    unlike_others = b"X-API-Key: folded"
    with EventReader(sidecar.port, target, AS_OPS.decode()) as reader:
        with sidecar.caller() as caller:
            for _ in range(200):
                caller.send(post("/tools/o.call", unlike_others))
                assert caller.answer().status == 401
        told: list[dict[str, Any]] = []
        while sum(int(each["count"]) for each in told) < 200:
            told.append(reader.next().json())

    assert len(told) < 40


def test_refusals_cannot_flush_the_ring(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Not either where each differs from the last in all that a stranger can choose."""
    settings = usual(events={"ring": 200})
    with shared_scene(loop_thread, tmp_path_factory.mktemp("ring"), settings) as (_, sidecar):
        sidecar.ask(post("/tools/o.call", AS_OPS, b"X-Chora-Trace-Id: kept"))
        with sidecar.caller() as caller:
            for number in range(600):
                key = (b"X-API-Key: k%d" % number) if number % 3 else x_api_key(f"x{number}")
                trace = b"X-Chora-Trace-Id: t%d" % number
                caller.send(post(f"/tools/n{number}.call", key, trace))
                assert caller.answer().status == 401

        found = sidecar.ask(get("/events?format=json&trace_id=kept", AS_OPS)).json()["events"]

        assert isinstance(found, list)
        assert len(found) == 1


def test_known_caller_cannot_flush_the_ring_with_what_it_may_not(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = usual(events={"ring": 200})
    with shared_scene(loop_thread, tmp_path_factory.mktemp("ring"), settings) as (_, sidecar):
        sidecar.ask(post("/tools/o.call", AS_OPS, b"X-Chora-Trace-Id: kept"))
        with sidecar.caller() as caller:
            for number in range(600):
                caller.send(post(f"/tools/n{number}.call", AS_CI))
                assert caller.answer().status == 403

        found = sidecar.ask(get("/events?format=json&trace_id=kept", AS_OPS)).json()["events"]

        assert isinstance(found, list)
        assert len(found) == 1


def test_many_subjects_cannot_flush_the_ring(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each of them is known, and refused for being in no team."""
    directory = tmp_path_factory.mktemp("subjects")
    settings = usual(events={"ring": 200})
    auth = settings["auth"]
    assert isinstance(auth, dict)
    auth["jwt"] = trusting(directory)
    teams = {"namespace": "t", "name": "t", "tools": [{"name": "call"}], "authorized_teams": ["x"]}
    with shared_scene(loop_thread, directory, settings, teams) as (_, sidecar):
        sidecar.ask(post("/tools/o.call", AS_OPS, b"X-Chora-Trace-Id: kept"))
        with sidecar.caller() as caller:
            for number in range(300):
                caller.send(post("/tools/t.call", bearer(token(f"subject-{number}"))))
                assert caller.answer().status == 403

        found = sidecar.ask(get("/events?format=json&trace_id=kept", AS_OPS)).json()["events"]

        assert isinstance(found, list)
        assert len(found) == 1


def test_journal_is_not_flushed_either(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("journal")
    path = Path(directory / "events.jsonl")
    settings = usual(events={"journal": str(path)})
    with shared_scene(loop_thread, directory, settings) as (_, sidecar):
        with sidecar.caller() as caller:
            for number in range(300):
                caller.send(post(f"/tools/n{number}.call", x_api_key(f"k{number}")))
                assert caller.answer().status == 401
        sidecar.ask(post("/tools/o.call", AS_OPS, END))
        assert eventually(lambda: b'"whole"' in path.read_bytes())

        assert path.read_bytes().count(b"authorization_denied") < 60
