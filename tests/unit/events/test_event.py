"""Facts about one event: its bytes, and who asked for it."""

import math
from collections.abc import Callable

import orjson
import pytest

from proxy.events.event import (
    KEEP_ALIVE,
    CallWriter,
    Event,
    Facts,
    Wanted,
    alike,
    encoded,
    framed,
)
from proxy.telemetry.record import ExchangeRecord
from tests.support.event_reader import Message, Unchunked, WhatwgParser
from tests.support.records import TRACE_ID, record

AT = b"2026-01-01T12:00:00.123Z"


def event(
    kind: str = "k", server: str = "", trace_id: str = "", status: str = "", data: bytes = b"{}"
) -> Event:
    return Event(b"t1-1", Facts(kind, server, trace_id, status), data)


def written(made: ExchangeRecord, writer: CallWriter | None = None) -> dict[str, object]:
    document = orjson.loads((writer or CallWriter()).write(made, b"t1-1", AT, made.outcome))
    assert isinstance(document, dict)
    return document


# --- the frame ---


def test_frame_is_one_chunk_of_one_message() -> None:
    frame = event("tool_invoked", data=b'{"a":1}').frame

    assert frame == b'32\r\nevent: tool_invoked\nid: t1-1\ndata: {"a":1}\n\n\r\n'.replace(
        b"32", b"%x" % (len(frame) - 6), 1
    )
    assert Unchunked().take(frame) == frame[4:-2]


@pytest.mark.parametrize("size", [0, 1, 200, 255, 256, 4095, 4096, 70_000])
def test_size_of_a_chunk_is_that_of_its_message(size: int) -> None:
    framing = Unchunked()

    framing.take(framed(b"k", b"i", b"x" * size) * 2)

    assert [len(chunk) for chunk in framing.chunks] == [
        len("event: k\nid: i\ndata: \n\n") + size
    ] * 2


def test_message_and_data_are_parts_of_the_frame() -> None:
    made = event(data=b'{"a":"\\n"}')

    assert made.message == b'event: k\nid: t1-1\ndata: {"a":"\\n"}\n\n'
    assert made.data == b'{"a":"\\n"}'
    assert WhatwgParser().feed(made.message) == [Message("k", "t1-1", '{"a":"\\n"}')]


def test_data_of_no_length_is_found() -> None:
    assert event(data=b"").data == b""


def test_keep_alive_is_a_comment_without_a_blank_line() -> None:
    assert KEEP_ALIVE == b": ka\n"


def test_event_is_shown_by_name_and_kind() -> None:
    assert repr(event()) == "<Event t1-1 k>"


# --- JSON on one line ---


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\n", "\r", "\x0b", "\x0c"])
def test_no_reader_finds_the_end_of_a_line_in_data(separator: str) -> None:
    data = encoded({"a": f"x{separator}y", f"k{separator}": 1})

    assert data.decode().splitlines() == [data.decode()]
    assert orjson.loads(data) == {"a": f"x{separator}y", f"k{separator}": 1}


@pytest.mark.parametrize(
    "neighbour", ["\u2027", "\u202a", "\x84", "\x86", "\u0342\u0385", "\U00010085", "é", "日本"]
)
def test_what_is_no_separator_stays_as_it_is(neighbour: str) -> None:
    assert encoded({"a": neighbour}) == b'{"a":"%b"}' % neighbour.encode()


def test_backslash_before_a_separator_stays_one() -> None:
    assert orjson.loads(encoded({"a": "\\\u2028"})) == {"a": "\\\u2028"}


def test_lone_surrogate_costs_only_itself() -> None:
    document = {"a": "x\ud800y", "count": 5, "none": None, "list": ["p", 1], "ok": True}

    assert orjson.loads(encoded(document)) == document | {"a": "x?y"}


def test_lone_surrogate_inside_a_list_costs_only_itself() -> None:
    document = {"problems": ["fine", "x\ud800"], "generation": 7}

    assert orjson.loads(encoded(document)) == {"problems": ["fine", "x?"], "generation": 7}


def test_number_that_json_has_not_is_null() -> None:
    assert encoded({"a": math.inf}) == b'{"a":null}'


# --- who asked for it ---


@pytest.mark.parametrize(
    ("wanted", "takes"),
    [
        pytest.param(Wanted(), True, id="anything"),
        pytest.param(Wanted(frozenset({"k"})), True, id="its-kind"),
        pytest.param(Wanted(frozenset({"j", "k"})), True, id="one-of-two-kinds"),
        pytest.param(Wanted(frozenset({"K"})), False, id="other-kind"),
        pytest.param(Wanted(server="s"), True, id="its-server"),
        pytest.param(Wanted(server="t"), False, id="other-server"),
        pytest.param(Wanted(trace_id="id"), True, id="its-trace"),
        pytest.param(Wanted(trace_id="i"), False, id="part-of-its-trace"),
        pytest.param(Wanted(status="failure"), True, id="its-status"),
        pytest.param(Wanted(status="error"), True, id="its-status-in-the-other-vocabulary"),
        pytest.param(Wanted(status="success"), False, id="other-status"),
        pytest.param(Wanted(frozenset({"k"}), "s", "id", "failure"), True, id="all-together"),
        pytest.param(Wanted(frozenset({"k"}), "s", "id", "success"), False, id="all-but-status"),
        pytest.param(Wanted(frozenset({"k"}), "t", "id", "failure"), False, id="all-but-server"),
    ],
)
def test_every_filter_that_is_given_must_fit(wanted: Wanted, *, takes: bool) -> None:
    assert wanted.takes(event("k", "s", "id", "failure").facts) is takes


@pytest.mark.parametrize(
    ("status", "wanted", "same"),
    [
        ("failure", "error", True),
        ("error", "failure", True),
        ("pending", "pending", True),
        ("success", "failure", False),
        ("", "error", False),
    ],
)
def test_failure_and_error_are_one_word(status: str, wanted: str, *, same: bool) -> None:
    assert alike(status, wanted) is same


# --- a call's event ---


def test_call_that_went_well_has_the_keys_of_the_contract() -> None:
    made = record(duration_s=0.0124)
    made.endpoint, made.attempts, made.request_bytes, made.response_bytes = "http://a", 1, 2, 3
    made.sent_at, made.answered_at = 5.0, 5.0105

    assert written(made) == {
        "event_id": "t1-1",
        "timestamp": "2026-01-01T12:00:00.123Z",
        "event_type": "tool_invoked",
        "schema_version": "1.0",
        "source": "toolproxy",
        "trace_id": TRACE_ID,
        "status": "success",
        "duration_ms": 12.4,
        "server_name": "o",
        "tool_name": "call",
        "http_status": 200,
        "endpoint": "http://a",
        "attempts": 1,
        "request_bytes": 2,
        "response_bytes": 3,
        "request_id": "request-1",
        "upstream_ms": 10.5,
    }


def _left(made: ExchangeRecord) -> None:
    made.flag = "DC"


def _refused(made: ExchangeRecord) -> None:
    made.code, made.detail = "circuit_open", 'Circuit open for "o"\u2028'


@pytest.mark.parametrize(
    ("status", "spoil", "code", "message"),
    [
        pytest.param(200, _left, "caller_left", "The caller left before its answer was whole"),
        pytest.param(0, _left, "caller_left", "The caller left before its answer was whole"),
        pytest.param(503, _refused, "circuit_open", 'Circuit open for "o"\u2028'),
        pytest.param(404, None, "client_error", "The upstream answered 404"),
        pytest.param(500, None, "server_error", "The upstream answered 500"),
    ],
)
def test_call_that_failed_says_why(
    status: int, spoil: Callable[[ExchangeRecord], None] | None, code: str, message: str
) -> None:
    made = record(status)
    if spoil is not None:
        spoil(made)

    document = written(made)

    assert (document["status"], document["error_code"], document["error_message"]) == (
        "failure",
        code,
        message,
    )


@pytest.mark.parametrize("trace_id", ['a"b', "a\\b", "\\", '\\"', "workflow-abc123", "{}", "'"])
def test_ids_of_a_caller_are_quoted(trace_id: str) -> None:
    made = record(trace_id=trace_id)
    made.trace.request_id = trace_id.encode()

    document = written(made)

    assert (document["trace_id"], document["request_id"]) == (trace_id, trace_id)


def test_call_to_nobody_names_nobody() -> None:
    document = written(record(404, "tool_not_found", server="", tool=""))

    assert [document[key] for key in ("server_name", "tool_name", "endpoint")] == [None] * 3


def test_no_call_shows_what_another_was() -> None:
    writer = CallWriter()
    calls = [("a", "x", 200), ("a", "y", 200), ("b", "x", 200), ("a", "x", 201), ("a", "x", 200)]

    shown = [written(record(s, server=n, tool=t), writer) for n, t, s in calls]

    assert [(d["server_name"], d["tool_name"], d["http_status"]) for d in shown] == calls


def test_names_that_json_must_quote_are_quoted() -> None:
    made = record(server='s"\u2028', tool="t\\")
    made.endpoint = "http://é\x85"

    document = written(made)

    assert (document["server_name"], document["tool_name"], document["endpoint"]) == (
        's"\u2028',
        "t\\",
        "http://é\x85",
    )


def test_what_is_forgotten_is_written_anew() -> None:
    writer = CallWriter()
    before = written(record(), writer)

    writer.forget()

    assert (written(record(), writer), set(writer._shared)) == (
        before,
        {("o", "call", "", 200, "success")},
    )
