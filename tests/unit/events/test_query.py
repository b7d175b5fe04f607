"""Facts about questions: which events are wanted, and what they add up to."""

import math
from datetime import UTC, datetime, timedelta, timezone

import orjson
import pytest

from proxy.events.query import Asked, Event, merged, moment_of, normal, since_of, summary
from tests.support.questions import asked

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)
CALL: Event = {
    "event_id": "e-1",
    "timestamp": "2026-01-02T11:00:00.500Z",
    "event_type": "tool_invoked",
    "trace_id": "t",
    "status": "success",
    "server_name": "manifest",
    "tool_name": "list",
}


@pytest.mark.parametrize(
    "wanted",
    [
        asked(),
        asked(kinds=frozenset({"tool_invoked", "error"})),
        asked(server="manifest", trace_id="t", status="success"),
        asked(since=datetime(2026, 1, 2, 11, 0, 0, 500_000, tzinfo=UTC)),
    ],
    ids=["anything", "one-of-its-kinds", "all-of-them", "since-that-moment"],
)
def test_event_that_has_all_that_is_asked_for_is_wanted(wanted: Asked) -> None:
    assert wanted.takes(CALL)


@pytest.mark.parametrize(
    "wanted",
    [
        asked(kinds=frozenset({"error"})),
        asked(server="other"),
        asked(trace_id="T"),
        asked(status="failure"),
        asked(since=datetime(2026, 1, 2, 11, 0, 1, tzinfo=UTC)),
    ],
    ids=["kind", "server", "trace", "status", "since"],
)
def test_event_that_lacks_one_of_them_is_not_wanted(wanted: Asked) -> None:
    assert not wanted.takes(CALL)
    assert not wanted.takes({})
    assert not wanted.takes({key: [] for key in CALL})


@pytest.mark.parametrize("status", ["failure", "error"])
@pytest.mark.parametrize("said", ["failure", "error"])
def test_failure_is_one_thing_in_both_vocabularies(status: str, said: str) -> None:
    assert asked(status=status).takes({"status": said})
    assert not asked(status=status).takes({"status": "pending"})


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-02T12:00:00Z",
        "2026-01-02T12:00:00.000000Z",
        "2026-01-02T14:00:00+02:00",
        "2026-01-02T12:00:00",
        "2026-01-02 12:00:00.000",
    ],
    ids=["z", "fraction", "offset", "naive-is-utc", "space"],
)
def test_moment_is_read_in_every_usual_form(text: str) -> None:
    assert moment_of({"timestamp": text}) == NOW == since_of(text, NOW + timedelta(9))


@pytest.mark.parametrize(
    "value",
    [None, 1, True, "", "yesterday", "2026-13-01", "2026-01-02\n12:00:00", ["2026-01-02"]],
    ids=str,
)
def test_what_is_no_moment_is_in_no_span(value: object) -> None:
    event: Event = {"timestamp": value}

    assert moment_of(event) is None
    assert not asked(since=datetime.min.replace(tzinfo=UTC)).takes(event)


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("24h", timedelta(hours=24)),
        ("90s", timedelta(seconds=90)),
        ("7d", timedelta(days=7)),
        ("5m", timedelta(minutes=5)),
        ("250ms", timedelta(milliseconds=250)),
        ("1.5h", timedelta(minutes=90)),
    ],
)
def test_span_ends_now(text: str, span: timedelta) -> None:
    assert since_of(text, NOW) == NOW - span


def test_span_longer_than_time_begins_with_it() -> None:
    assert since_of("999999999999d", NOW) == datetime.min.replace(tzinfo=UTC)


def test_plus_that_a_form_made_a_space_is_understood() -> None:
    two_hours = timezone(timedelta(hours=2))

    assert since_of("2026-01-02T12:00:00 02:00", NOW) == NOW.replace(tzinfo=two_hours)


@pytest.mark.parametrize("text", ["", "90", "h", "-1h", "1 h", "1w", "yesterday", "٣s", "1h\n"])
def test_what_is_neither_span_nor_moment_is_explained(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected a span such as 90s, 24h or 7d, or a time"):
        since_of(text, NOW)


def test_event_of_another_server_is_kept_as_it_is() -> None:
    event: Event = {
        "event_type": "chora.content_generated",
        "status": "pending",
        "trace_id": "t",
        "timestamp": "2026-01-02T12:00:00",
        "generator_type": "jinja2",
        "nested": [{"x": None}],
    }

    assert normal(event, NOW) == event


def test_what_says_nothing_readable_is_dropped_and_now_is_the_time() -> None:
    event: Event = {"event_type": "x", "status": 1, "trace_id": None, "timestamp": 5}

    assert normal(event) == {"event_type": "x"}
    assert normal(event, NOW) == {"event_type": "x", "timestamp": "2026-01-02T12:00:00.000Z"}
    assert len(event) == 4


@pytest.mark.parametrize(
    "kind",
    [None, 5, "", "x" * 129, "a\nb", "a\rb", "\0", "\x7f", "a\x85b", "a\u2028b", "a\u2029b"],
    ids=ascii,
)
def test_event_without_a_kind_that_fits_into_a_line_is_none(kind: object) -> None:
    assert normal({"event_type": kind}) is None


def test_kind_may_be_any_other_text() -> None:
    kinds = ["x" * 128, "chora.content_generated", "über alles", "事件"]

    assert [normal({"event_type": kind}) for kind in kinds] == [{"event_type": k} for k in kinds]


@pytest.mark.parametrize(("levels", "kept"), [(200, True), (1000, False)])
def test_event_too_deep_to_be_written_again_is_none(levels: int, *, kept: bool) -> None:
    document = orjson.loads(b'{"event_type": "x", "deep": ' + b"[" * levels + b"]" * levels + b"}")

    assert (normal(document) is not None) is kept


def at(second: int, **keys: object) -> Event:
    return {"timestamp": f"2026-01-01T00:00:{second:02}Z", "event_type": "x", **keys}


def test_sources_are_merged_by_time_and_then_in_their_order() -> None:
    first: list[Event] = [at(1, n=1), at(3, n=2), {"n": 3}, at(3, n=4)]
    second = [at(0, n=5), at(3, n=6), at(2, n=7)]

    assert [each["n"] for each in merged([first, second], 99)] == [5, 1, 7, 2, 3, 4, 6]
    assert [each["n"] for each in merged([first, second], 2)] == [4, 6]
    assert merged([first, second], 0) == []


def test_offsets_do_not_change_the_order() -> None:
    events: list[Event] = [
        {"n": 1, "timestamp": "2026-01-01T02:00:00+03:00"},
        {"n": 2, "timestamp": "2026-01-01T00:00:00Z"},
    ]

    assert merged([events[::-1]], 9) == events


def test_same_id_is_the_same_event() -> None:
    ring = [at(1, event_id="a"), at(1, event_id="b")]
    journal = [at(0, event_id="z"), at(1, event_id="a")]

    assert merged([ring, iter(journal)], 9) == [at(0, event_id="z"), *ring]


@pytest.mark.parametrize("order", [1, -1], ids=["ring-first", "file-first"])
def test_event_that_got_its_id_from_us_is_the_same_as_in_its_file(order: int) -> None:
    ring = [at(1, event_id="a"), at(2, event_id="b"), at(3, event_id="c", other=1)]
    file: list[Event] = [at(1), {"event_type": "x"}, at(3)]

    found = merged([ring, file][::order], 9)

    assert sorted(found, key=str) == sorted([*ring, at(3)], key=str)


def test_event_that_happened_twice_is_there_twice() -> None:
    ring = [at(1, event_id="b")]  # the first has left it
    file = [at(1), at(1)]

    assert merged([ring, file, file], 9) == [at(1, event_id="b"), at(1)]


def test_summary_has_the_figures_of_the_guide() -> None:
    def made(generator: str, ms: int) -> Event:
        return {
            "timestamp": "2026-01-02T12:00:01Z",
            "event_type": "chora.content_generated",
            "trace_id": "workflow-abc123",
            "status": "success",
            "generator_type": generator,
            "duration_ms": ms,
        }

    events: list[Event] = [
        made("jinja2", 100),
        made("jinja2", 200),
        made("template_fill", 120),
        made("code_generation", 1819),
        {
            "timestamp": "2026-01-02T12:00:00Z",
            "event_type": "chora.artifact_assembled",
            "status": "success",
        },
    ]

    assert summary("workflow-abc123", events) == {
        "trace_id": "workflow-abc123",
        "total_events": 5,
        "by_type": {"chora.content_generated": 4, "chora.artifact_assembled": 1},
        "success_count": 5,
        "error_count": 0,
        "total_duration_ms": 2239,
        "by_tool": {},
        "by_generator": {
            "jinja2": {"count": 2, "total_ms": 300, "avg_ms": 150},
            "template_fill": {"count": 1, "total_ms": 120, "avg_ms": 120},
            "code_generation": {"count": 1, "total_ms": 1819, "avg_ms": 1819},
        },
        "errors": [],
        "first_at": "2026-01-02T12:00:00Z",
        "last_at": "2026-01-02T12:00:01Z",
    }


def test_summary_tells_of_tools_and_of_errors_in_both_vocabularies() -> None:
    refused = CALL | {"status": "failure", "error_code": "X", "error_message": "no", "ms": 1}
    events: list[Event] = [
        CALL | {"duration_ms": 1.1},
        refused | {"duration_ms": 2.2},
        {"event_type": "authorization_denied", "tool_name": "list", "status": "error"},
    ]

    found = summary("t", events)

    assert (found["success_count"], found["error_count"]) == (1, 2)
    assert found["total_duration_ms"] == 3.3
    assert found["by_tool"] == {"manifest.list": {"count": 2, "total_ms": 3.3, "avg_ms": 1.65}}
    assert found["errors"] == [
        {
            "event_type": "tool_invoked",
            "error_code": "X",
            "error_message": "no",
            "timestamp": "2026-01-02T11:00:00.500Z",
            "server_name": "manifest",
            "tool_name": "list",
        },
        {
            "event_type": "authorization_denied",
            "error_message": "Unknown error",
            "timestamp": None,
            "tool_name": "list",
        },
    ]


@pytest.mark.parametrize(
    "value",
    [None, "5", True, math.nan, math.inf, -math.inf, 10**400, [], {}],
    ids=["none", "text", "bool", "nan", "inf", "minus-inf", "huge", "list", "dict"],
)
def test_summary_survives_any_value(value: object) -> None:
    broken: Event = dict.fromkeys([*CALL, "duration_ms", "generator_type"], value)
    kinds = ("tool_invoked", "chora.content_generated")
    events = [broken, *(broken | {"event_type": kind} for kind in kinds)]

    found = summary("t", events)

    assert found["total_duration_ms"] == 0
    assert isinstance(found["by_generator"], dict)
    assert [each["count"] for each in found["by_generator"].values()] == [1]


def test_summary_of_nothing_is_empty() -> None:
    found = summary("t", [])

    assert (found["total_events"], found["first_at"], found["errors"]) == (0, None, [])
