"""What a trace adds up to, and what a question costs the calls beside it."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson
import pytest

from tests.support.messages import ok, post
from tests.support.origin import Origin
from tests.support.reports import Line, call, chora, events, written
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

CALL: Final = "/tools/o.call"
MIB: Final = 1024**2
SLOWEST_S: Final = 0.2  # ten times the 20 ms that a query may hold up a call
LONG: Final = "w" * 190  # makes long events, of which so many would hold up a call much longer
BATCH: Final = 50
TIMES: Final = 3  # what the machine is busy with holds up one, a query each of them


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin(answers(ok()))


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", origin.url), server("p", origin.url))


def by_hand(trace_id: str, path: Path) -> Line:
    """As the guide of chora-compose adds them up, in its step 4."""
    found = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    found = [each for each in found if each.get("trace_id") == trace_id]
    spent: dict[str, list[float]] = {}
    for each in found:
        if each["event_type"] == "chora.content_generated":
            spent.setdefault(each["generator_type"], []).append(each.get("duration_ms", 0))
    return {
        "total_events": len(found),
        "by_type": dict(Counter(each["event_type"] for each in found)),
        "success_count": sum(each["status"] == "success" for each in found),
        "error_count": sum(each["status"] == "error" for each in found),
        "total_duration_ms": sum(each.get("duration_ms", 0) for each in found),
        "by_generator": {
            name: (len(took), round(sum(took) / len(took), 3)) for name, took in spent.items()
        },
        "errors": [
            (each["event_type"], each.get("error_message", "Unknown error"))
            for each in found
            if each["status"] == "error"
        ],
    }


def test_summary_is_what_the_guide_of_chora_compose_adds_up(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    theirs, now = tmp_path / "events.jsonl", datetime.now(UTC)
    odd = {"status": "error", "error_message": "no key", "generator_type": "code_generation"}
    written(
        theirs,
        chora("workflow-1", now, duration_ms=450),
        chora("workflow-1", now, duration_ms=1234.5, generator_type="demonstration"),
        chora("workflow-2", now, duration_ms=99),
        chora("workflow-1", now, duration_ms=7, **odd),
        chora("workflow-1", now, duration_ms=125, event_type="chora.artifact_assembled"),
        chora("workflow-1", now, status="error", event_type="chora.artifact_assembled"),
        chora("workflow-1", now, status="pending", duration_ms=1),
    )
    sidecar = start_sidecar(server("o", origin.url), settings={"events": {"tail": [str(theirs)]}})

    said = sidecar.get("/events/workflow-1/summary").json()

    hand = by_hand("workflow-1", theirs)
    said["by_generator"] = {
        name: (each["count"], each["avg_ms"]) for name, each in _of(said, "by_generator").items()
    }
    assert isinstance(said["errors"], list)
    said["errors"] = [(each["event_type"], each["error_message"]) for each in said["errors"]]
    assert {key: said[key] for key in hand} == hand
    assert hand["total_events"] == 6


def _of(said: Line, key: str) -> dict[str, dict[str, float]]:
    found = said[key]
    assert isinstance(found, dict)
    return found


def test_summary_of_calls_counts_tools_and_errors(sidecar: Sidecar) -> None:
    for target in (CALL, CALL, "/tools/p.call", "/tools/o.no"):
        call(sidecar, target, "w")

    said = sidecar.get("/events/w/summary").json()

    counts = {name: each["count"] for name, each in _of(said, "by_tool").items()}
    assert {name: counts[name] for name in ("o.call", "p.call")} == {"o.call": 2, "p.call": 1}
    assert (said["success_count"], said["error_count"], said["total_events"]) == (3, 1, 4)
    assert isinstance(said["errors"], list)
    assert [each["error_code"] for each in said["errors"]] == ["tool_not_found"]


def test_unknown_trace_has_a_summary_of_nothing(sidecar: Sidecar) -> None:
    answer = sidecar.get("/events/nobody-s/summary")

    said = answer.json()
    assert (answer.status, said["total_events"], said["by_type"]) == (200, 0, {})


@pytest.mark.parametrize("odd", ["a/b", 'a"b\\c', "a%2Fb", "é", "\u2028", "a b", "a+b", "a&b", "%"])
def test_odd_name_of_a_trace_is_found(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path, odd: str
) -> None:
    theirs = tmp_path / "chora.jsonl"
    now = datetime.now(UTC)
    written(theirs, chora("other", now), chora(odd, now))
    sidecar = start_sidecar(server("o", origin.url), settings={"events": {"tail": [str(theirs)]}})

    asked = quote(odd, safe="")

    assert [each["trace_id"] for each in events(sidecar, f"&trace_id={asked}")] == [odd]
    said = sidecar.get(f"/events/{asked}/summary").json()
    assert (said["trace_id"], said["total_events"]) == (odd, 1)


def held_up_s(sidecar: Sidecar, question: str) -> float:
    """How long a question holds up the slowest call beside it, at the best of some times."""
    return min(_slowest_call_s(sidecar, question) for _ in range(TIMES))


def _slowest_call_s(sidecar: Sidecar, question: str) -> float:
    took_s = [0.0]
    with ThreadPoolExecutor(1) as pool, sidecar.caller() as caller:
        answered = pool.submit(sidecar.get, question)
        while not answered.done():
            began_at = time.monotonic()
            caller.send(post(CALL))
            caller.answer()
            took_s.append(time.monotonic() - began_at)
        assert answered.result().status == 200
    return max(took_s)


def test_large_journal_is_read_beside_calls(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    journal = tmp_path / "events.jsonl"
    line = orjson.dumps(chora("t", datetime.now(UTC), padding="x" * 300)) + b"\n"
    journal.write_bytes(line * (60 * MIB // len(line)))
    settings = {"events": {"journal": str(journal), "journal_size": "100MiB"}}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)

    for question in ("trace_id=nobody-s", "server=nobody-s", "status=pending"):
        assert held_up_s(sidecar, f"/events?format=json&{question}") < SLOWEST_S


@pytest.mark.parametrize(
    "question", ["/events?format=json&limit=10000", f"/events/{LONG}/summary"], ids=["all", "sum"]
)
def test_many_events_are_added_up_beside_calls(
    origin: Origin, start_sidecar: StartSidecar, question: str
) -> None:
    sidecar = start_sidecar(server("o", origin.url))
    with sidecar.caller() as caller:
        for _ in range(10_000 // BATCH):
            caller.send(post(CALL, b"X-Chora-Trace-Id: " + LONG.encode()) * BATCH)
            for _ in range(BATCH):
                caller.answer()

    assert held_up_s(sidecar, question) < SLOWEST_S
