"""Any record, any facts: three readers find one message, and in it the facts."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Final

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.events.event import CallWriter, Event, Facts, encoded
from proxy.telemetry.record import ExchangeRecord
from tests.support.event_reader import Message, Unchunked, WhatwgParser
from tests.support.records import record

AT: Final = b"2026-01-01T12:00:00.123Z"
LINE_ENDS: Final = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
TEXT: Final = st.text(max_size=40) | st.text(st.sampled_from(LINE_ENDS + 'ab: "\\\0\ufeff'))
SCALARS: Final = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
FACTS: Final = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner),
        max_leaves=8,
    ),
    max_size=6,
)
KINDS: Final = st.text(min_size=1, max_size=30).filter(str.isprintable)
TRACE_IDS: Final = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200
)
NAMES: Final = st.from_regex(r"[A-Za-z0-9_.-]{1,64}", fullmatch=True)


# --- three readers; each is fed the message in pieces ---


def as_a_browser(text: bytes, size: int) -> list[Message]:
    parser = WhatwgParser()
    return [each for piece in _pieces(text, size) for each in parser.feed(piece)]


def as_httpx(text: bytes, size: int) -> list[Message]:
    """Lines as httpx's `iter_lines` gives them, which split where `str.splitlines` does."""
    response = httpx.Response(200, content=_pieces(text, size))
    return list(_of_lines(response.iter_lines()))


def as_splitlines(text: bytes, size: int) -> list[Message]:
    del size
    return list(_of_lines(iter(text.decode().splitlines())))


def _pieces(text: bytes, size: int) -> Iterator[bytes]:
    return (text[at : at + size] for at in range(0, len(text), size))


def _of_lines(lines: Iterator[str]) -> Iterator[Message]:
    """A plain client: fields until an empty line, and every field known."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            yield Message(fields["event"], fields["id"], fields["data"])
            fields = {}
            continue
        name, separator, value = line.partition(":")
        assert separator == ":", line
        assert name in {"event", "id", "data"} - fields.keys(), line
        fields[name] = value.removeprefix(" ")
    assert not fields


FEW: Final = settings(max_examples=50)
READERS: Final = [as_a_browser, as_httpx, as_splitlines]
Read = Callable[[bytes, int], list[Message]]


@pytest.mark.parametrize("read", READERS)
@FEW
@given(kind=KINDS, facts=FACTS, size=st.integers(1, 60))
def test_any_facts_are_one_message(read: Read, kind: str, facts: dict[str, Any], size: int) -> None:
    event = Event(b"t1-7", Facts(kind, "", "", ""), encoded(facts))

    (message,) = read(event.message, size)

    assert (message.event, message.id, orjson.loads(message.data)) == (kind, "t1-7", facts)


@pytest.mark.parametrize("read", READERS)
@FEW
@given(many=st.lists(FACTS, min_size=2, max_size=5), size=st.integers(1, 60))
def test_messages_one_behind_the_other_stay_apart(
    read: Read, many: list[dict[str, Any]], size: int
) -> None:
    events = [
        Event(b"t1-%d" % at, Facts("k", "", "", ""), encoded(facts))
        for at, facts in enumerate(many)
    ]

    messages = read(b"".join(event.message for event in events), size)

    assert [(each.sequence, orjson.loads(each.data)) for each in messages] == [*enumerate(many)]


@FEW
@given(many=st.lists(FACTS, min_size=1, max_size=5), size=st.integers(1, 60))
def test_framing_is_exact(many: list[dict[str, Any]], size: int) -> None:
    events = [Event(b"t1-7", Facts("k", "", "", ""), encoded(facts)) for facts in many]
    framing = Unchunked()

    for piece in _pieces(b"".join(event.frame for event in events) + b"0\r\n\r\n", size):
        framing.take(piece)

    assert (framing.chunks, framing.ended) == ([each.message for each in events], True)


@FEW
@given(facts=FACTS, text=st.text(st.characters(categories=["Cs"]), min_size=1, max_size=3))
def test_lone_surrogates_are_replaced_and_cost_no_other_fact(
    facts: dict[str, Any], text: str
) -> None:
    document = facts | {"broken": text}

    assert orjson.loads(encoded(document)) == facts | {"broken": "?" * len(text)}


@st.composite
def records(draw: st.DrawFn) -> ExchangeRecord:
    """Any call, as far as it can have come."""
    made = record(
        draw(st.integers(100, 999) | st.just(0)),
        draw(st.sampled_from(["", "circuit_open", "upstream_timeout"])),
        duration_s=draw(st.floats(0, 86_400)),
        server=draw(NAMES | st.just("")),
        tool=draw(NAMES | st.just("")),
        trace_id=draw(TRACE_IDS),
    )
    made.trace.request_id = draw(TRACE_IDS).encode()
    made.detail = draw(TEXT)
    made.endpoint = draw(TEXT)
    made.flag = draw(st.sampled_from(["", "DC", "UF"]))
    made.attempts = draw(st.integers(0, 9))
    made.request_bytes, made.response_bytes = draw(st.tuples(*[st.integers(0, 2**50)] * 2))
    made.answered_at = draw(st.floats(0, 100))
    return made


@pytest.mark.parametrize("read", READERS)
@FEW
@given(made=records(), size=st.integers(1, 200))
def test_any_call_is_one_message_with_its_facts(
    read: Read, made: ExchangeRecord, size: int
) -> None:
    data = CallWriter().write(made, b"t1-7", AT, made.outcome)
    event = Event(b"t1-7", Facts("tool_invoked", made.server, "", ""), data)

    (message,) = read(event.message, size)

    said = orjson.loads(message.data)
    assert math.isclose(said.pop("duration_ms"), made.duration_s * 1000, abs_tol=0.001)
    assert math.isclose(said.pop("upstream_ms"), made.upstream_s * 1000, abs_tol=0.001)
    failed = made.outcome != "success"
    assert ("error_message" in said) is failed
    assert not failed or isinstance(said.pop("error_message"), str)
    assert said == {
        "event_id": "t1-7",
        "timestamp": AT.decode(),
        "event_type": "tool_invoked",
        "schema_version": "1.0",
        "source": "toolproxy",
        "trace_id": made.trace.trace_id.decode(),
        "status": "failure" if failed else "success",
        "server_name": made.server or None,
        "tool_name": made.tool or None,
        "http_status": made.status or None,
        "endpoint": made.endpoint or None,
        "attempts": made.attempts,
        "request_bytes": made.request_bytes,
        "response_bytes": made.response_bytes,
        "request_id": made.trace.request_id.decode(),
    } | ({"error_code": made.outcome} if failed else {})
