import asyncio
from argparse import Namespace
from typing import Final

import pytest

from proxy.people.asking import Asking
from proxy.people.events import events
from proxy.people.gateway import Gateway
from proxy.people.output import STDERR, STDOUT, Look, Output
from proxy.people.tables import Sheet
from proxy.people.unusable import UnusableError

MOMENT: Final = "2026-01-02T03:04:05.678+01:00"


class Told(Gateway):
    """A gateway that says one thing, whatever it is asked."""

    def __init__(self, said: object) -> None:
        super().__init__(Asking(url="http://a"))
        self.said = said
        self.asked: list[str] = []

    async def document(self, target: str, what: str) -> object:
        _ = what
        self.asked.append(target)
        return self.said


def options(**given: object) -> Namespace:
    usual = dict.fromkeys(("type", "server", "trace", "status", "since", "limit"))
    return Namespace(**{**usual, "follow": False, "summary": False, **given})


def shown(said: object, **given: object) -> list[str]:
    """Its lines on a wide terminal."""
    written = {STDOUT: b"", STDERR: b""}

    def write(stream: int, octets: bytes) -> None:
        written[stream] += octets

    look = Look(True, True, False, Sheet(200, colour=False))  # noqa: FBT003 - a tuple's fields
    status = asyncio.run(events(Told(said), Output(look, write), options(**given)))
    assert (status, written[STDERR]) == (0, b"")
    return written[STDOUT].decode().splitlines()


def test_an_event_is_a_line() -> None:
    event = {
        "timestamp": MOMENT,
        "event_type": "tool_invoked",
        "server_name": "o",
        "tool_name": "call",
        "status": "failure",
        "duration_ms": 1.5,
        "trace_id": "t",
        "error_message": "No\nroom",
    }

    _, line = shown({"events": [event]})

    assert line.split("  ") == [
        "01-02 02:04:05.678",
        "tool_invoked",
        "o.call",
        "failure",
        "1.5",
        "t No room",
    ]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"timestamp": 7, "event_type": [], "status": {}, "duration_ms": "x", "server_name": 1},
        {"timestamp": "0001-01-01T00:00:00+23:59"},
        {"timestamp": "soon\x1b"},
        {"event_type": "gap"},
    ],
    ids=repr,
)
def test_an_event_of_any_shape_is_a_line(event: dict[str, object]) -> None:
    assert len(shown({"events": [event]})) == 2


def test_a_summary_tells_tools_and_failures() -> None:
    failure = {"timestamp": MOMENT, "error_code": "circuit_open", "error_message": "Open"}
    summary = {
        "trace_id": "t",
        "by_type": {"tool_invoked": 2},
        "by_tool": {"o.call": {"count": 2, "avg_ms": 1.5}},
        "errors": [failure],
    }

    lines = shown(summary, summary=True, trace="t")

    assert "types        2 tool_invoked" in lines
    assert [each.split() for each in lines if each.startswith(("o.call", "01-02"))] == [
        ["o.call", "2", "1.5"],
        ["01-02", "02:04:05.678", "-", "circuit_open", "Open"],
    ]


@pytest.mark.parametrize("said", [{}, [], {"by_tool": 7, "errors": [7], "by_type": []}], ids=repr)
def test_a_summary_of_any_shape_is_shown(said: object) -> None:
    assert shown(said, summary=True, trace="t")[0].startswith("trace")


@pytest.mark.parametrize(
    "given",
    [
        {"since": "soon"},
        {"since": "1w"},
        {"since": ""},
        {"summary": True},
        {"summary": True, "trace": ".."},
        {"summary": True, "trace": "t", "follow": True},
    ],
    ids=repr,
)
def test_what_cannot_be_asked_is_refused_before_anybody_is_asked(given: dict[str, object]) -> None:
    with pytest.raises(UnusableError):
        shown({"events": []}, **given)


def test_filters_are_the_sidecar_s() -> None:
    told = Told({"events": []})
    look = Look(False, False, False, Sheet(80, colour=False))  # noqa: FBT003 - a tuple's fields
    given = options(type="a,b", server="o", trace="t&x", status="failure", since="1h", limit=7)

    asyncio.run(events(told, Output(look, lambda *_: None), given))

    query = "format=json&limit=7&since=1h&types=a%2Cb&server=o&trace_id=t%26x&status=failure"
    assert told.asked == [f"/api/v1/events?{query}"]
