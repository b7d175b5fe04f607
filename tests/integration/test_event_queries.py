"""What happened, asked for afterwards: from ring, journal and followed files."""

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import orjson
import pytest

from tests.support.messages import get, message, ok
from tests.support.origin import Origin
from tests.support.reports import Line, call, chora, events, lines_of, written
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok()))


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", origin.url), server("p", origin.url))


def told_of(found: list[Line]) -> list[object]:
    """Whose trace each call was."""
    return [each["trace_id"] for each in found if each["event_type"] == "tool_invoked"]


@pytest.mark.parametrize(
    ("query", "traces"),
    [
        pytest.param("", ["a", "b", "c", "a"], id="everything"),
        pytest.param("&trace_id=a", ["a", "a"], id="trace"),
        pytest.param("&server=p", ["b"], id="server"),
        pytest.param("&status=failure", ["c"], id="failure"),
        pytest.param("&status=error", ["c"], id="other-vocabulary"),
        pytest.param("&status=success", ["a", "b", "a"], id="success"),
        pytest.param("&event_type=tool_invoked", ["a", "b", "c", "a"], id="type"),
        pytest.param("&types=gateway_started,tool_invoked&server=o", ["a", "c", "a"], id="types"),
        pytest.param("&event_type=gateway_started", [], id="other-type"),
        pytest.param("&limit=1", ["a"], id="newest"),
        pytest.param("&limit=2", ["c", "a"], id="two-newest"),
        pytest.param("&limit=10000", ["a", "b", "c", "a"], id="most"),
        pytest.param("&trace_id=a&server=p", [], id="nobody-s"),
        pytest.param("&since=1h", ["a", "b", "c", "a"], id="since-an-hour"),
        pytest.param("&since=2026-01-01T00:00:00Z", ["a", "b", "c", "a"], id="since-a-moment"),
        pytest.param("&since=2026-01-01T00:00:00+02:00", ["a", "b", "c", "a"], id="plus-as-space"),
        pytest.param("&since=9999-01-01", [], id="since-what-comes"),
        pytest.param("&since=0s", [], id="since-now"),
    ],
)
def test_filter_leaves_what_was_asked_for(sidecar: Sidecar, query: str, traces: list[str]) -> None:
    for target, trace_id in (
        (CALL, "a"),
        ("/tools/p.call", "b"),
        ("/tools/o.no", "c"),
        (CALL, "a"),
    ):
        call(sidecar, target, trace_id)

    # A caller may have its answer a moment before its event is there.
    assert eventually(lambda: told_of(events(sidecar, query)) == traces)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("limit=-1", "limit"),
        ("limit=abc", "limit"),
        ("limit=", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("since=yesterday", "since"),
        ("since=-1h", "since"),
        ("since=24", "since"),
        ("since=%00", "since"),
        ("trace_id=" + "a" * 513, "trace_id"),
        ("event_type=" + "a" * 513, "event_type"),
    ],
)
def test_bad_value_is_refused_with_a_sentence(sidecar: Sidecar, query: str, words: str) -> None:
    answer = sidecar.get(f"/events?format=json&{query}")

    said = str(answer.json()["detail"])
    assert (answer.status, words in said, len(said) < 200) == (400, True, True), said


@pytest.mark.parametrize("value", ["abc", "", "9" * 5000])
def test_bad_limit_is_not_told_in_python(sidecar: Sidecar, value: str) -> None:
    said = sidecar.get(f"/events?format=json&limit={value}").json()["detail"]

    assert said == "limit is a number from 1 to 10000"


def test_unknown_format_is_refused(sidecar: Sidecar) -> None:
    assert sidecar.get("/events?format=xml").status == 400


@pytest.mark.parametrize(
    "accept",
    [
        b"application/json",
        pytest.param(
            b"application/json, text/plain, */*",
        ),
    ],
)
def test_accept_asks_for_the_list(sidecar: Sidecar, accept: bytes) -> None:
    with sidecar.caller() as caller:
        caller.send(get("/events", b"Accept: " + accept))
        head = caller.until(b"\r\n\r\n").lower()

    assert b"content-type: application/json" in head


@pytest.mark.parametrize(
    "target",
    [
        "/events/a/summary",
        pytest.param("/events?format=json"),
    ],
)
def test_head_is_get_without_a_body(sidecar: Sidecar, target: str) -> None:
    line = f"HEAD {target} HTTP/1.1".encode()

    assert sidecar.ask(message(line, b"Host: a")).status == 200


def test_journal_answers_after_a_restart(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    settings = {"events": {"journal": str(tmp_path / "var" / "events.jsonl")}}
    before = start_sidecar(server("o", origin.url), settings=settings)
    for number in range(20):
        call(before, CALL, f"trace-{number}")
    before.close()

    after = start_sidecar(server("o", origin.url), settings=settings)
    call(after, CALL, "trace-20")

    assert told_of(events(after)) == [f"trace-{number}" for number in range(21)]
    assert told_of(events(after, "&trace_id=trace-7")) == ["trace-7"]


def test_gateway_s_life_is_in_the_journal_in_order(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    journal = tmp_path / "events.jsonl"
    settings = {"events": {"journal": str(journal)}, "health_check_interval": "1h"}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    sidecar.registry_path.write_text(registry(server("o", origin.url, tools=["call", "more"])))
    assert eventually(lambda: len(events(sidecar, "&event_type=registry_reloaded")) == 2)
    sidecar.signal(signal.SIGTERM)
    sidecar.exit_status()

    kinds = [orjson.loads(line)["event_type"] for line in lines_of(journal)]
    assert [each for each in kinds if each.startswith(("gateway_", "registry_"))] == [
        "registry_reloaded",
        "gateway_started",
        "registry_reloaded",
        "gateway_draining",
        "gateway_stopped",
    ]


def test_file_of_others_is_asked_even_for_what_was_written_before_the_start(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    theirs = tmp_path / "chora.jsonl"
    written(theirs, *(chora(f"t{n}", now - timedelta(minutes=9 - n)) for n in range(5)))

    sidecar = start_sidecar(server("o", origin.url), settings={"events": {"tail": [str(theirs)]}})

    generated = "&event_type=chora.content_generated"
    found = [events(sidecar, f"{generated}{more}") for more in ("", "&since=390s")]
    assert [[each["trace_id"] for each in some] for some in found] == [
        ["t0", "t1", "t2", "t3", "t4"],
        ["t3", "t4"],
    ]


def test_ring_journal_and_files_are_one_list_without_repeats(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    theirs = tmp_path / "chora.jsonl"
    written(theirs, chora("w", datetime.now(UTC) - timedelta(minutes=1), n=0))
    settings = {"events": {"journal": str(tmp_path / "own.jsonl"), "tail": [str(theirs)]}}
    before = start_sidecar(server("o", origin.url), settings=settings)
    call(before, CALL, "w")
    before.close()
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    call(sidecar, CALL, "w")
    written(theirs, chora("w", datetime.now(UTC), n=1))
    assert eventually(lambda: len(events(sidecar, "&trace_id=w")) == 4)
    lines_of(tmp_path / "own.jsonl", 8)

    found = events(sidecar, "&trace_id=w")

    assert [each["event_type"] for each in found][:2] == ["chora.content_generated", "tool_invoked"]
    # The last two may have happened in one millisecond.
    assert {each["event_type"] for each in found[2:]} == {"chora.content_generated", "tool_invoked"}
    assert sidecar.get("/events/w/summary").json()["total_events"] == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_file_that_may_not_be_read_costs_only_what_is_in_it(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    theirs = tmp_path / "chora.jsonl"
    theirs.touch(0)
    sidecar = start_sidecar(server("o", origin.url), settings={"events": {"tail": [str(theirs)]}})
    call(sidecar, CALL, "a")

    assert told_of(events(sidecar)) == ["a"]
