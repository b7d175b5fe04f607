"""Facts about trace context: what is continued, what starts anew, and which names are kept."""

import pickle
import re

import pytest
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from proxy.wire.trace import Trace, sampling_bound, trace_of
from tests.support.octets import EVERY, put

TRACE_ID = b"4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = b"00f067aa0ba902b7"
VALID = b"00-" + TRACE_ID + b"-" + PARENT + b"-01"
NEW_TRACE, OUR_PARENT, NEW_REQUEST = b"a" * 32, b"b" * 16, b"c" * 32
_CONTEXT = re.compile(rb"traceparent: ([^\r]*)\r\n(?:tracestate: ([^\r]*)\r\n)?")


def drawn(bits: int) -> int:
    """The one draw: each name can be told from the others."""
    assert bits == 4 * (32 + 16 + 32)
    return int(NEW_TRACE + OUR_PARENT + NEW_REQUEST, 16)


def traced(**fields: bytes) -> Trace:
    noted = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return trace_of(noted, drawn)


def parts_of(trace: Trace) -> list[bytes]:
    return [trace.trace_id, trace.request_id, trace.id_lines, trace.context_lines]


def parent_of(trace: Trace) -> bytes:
    return _context(trace)[0]


def state_of(trace: Trace) -> bytes:
    return _context(trace)[1]


def _context(trace: Trace) -> tuple[bytes, bytes]:
    match = _CONTEXT.fullmatch(trace.context_lines)
    assert match, trace.context_lines
    return match[1], match[2] or b""


def test_call_without_names_gets_all_of_them() -> None:
    assert parts_of(traced()) == [
        NEW_TRACE,
        NEW_REQUEST,
        b"X-Request-Id: %b\r\nX-Chora-Trace-Id: %b\r\n" % (NEW_REQUEST, NEW_TRACE),
        b"traceparent: 00-%b-%b-01\r\n" % (NEW_TRACE, OUR_PARENT),
    ]


def test_callers_trace_is_continued_with_a_parent_of_ours() -> None:
    trace = traced(
        traceparent=VALID, tracestate=b"a=1", x_request_id=b"r", x_chora_trace_id=b"flow-1"
    )

    assert (repr(trace), parts_of(trace)) == (
        "<Trace flow-1>",
        [
            b"flow-1",
            b"r",
            b"X-Request-Id: r\r\nX-Chora-Trace-Id: flow-1\r\n",
            b"traceparent: 00-%b-%b-01\r\ntracestate: a=1\r\n" % (TRACE_ID, OUR_PARENT),
        ],
    )


def test_trace_id_is_the_callers_where_it_gave_no_other_name() -> None:
    assert traced(traceparent=VALID).trace_id == TRACE_ID


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(b"00", b"00", id="not-sampled"),
        pytest.param(b"03", b"03", id="sampled-and-random"),
        pytest.param(b"ff", b"03", id="unknown-flags-are-cleared"),
    ],
)
def test_flags_are_kept_as_far_as_they_are_known(sent: bytes, kept: bytes) -> None:
    assert parent_of(traced(traceparent=VALID[:-2] + sent))[-2:] == kept


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param(b"cc" + VALID[2:], id="same-length"),
        pytest.param(b"cc" + VALID[2:] + b"-what-the-future-brings", id="longer"),
        pytest.param(b"01" + VALID[2:] + b"-", id="longer-by-a-dash"),
    ],
)
def test_later_version_is_read_as_far_as_it_is_known(traceparent: bytes) -> None:
    assert parent_of(traced(traceparent=traceparent)) == (
        b"00-" + TRACE_ID + b"-" + OUR_PARENT + b"-01"
    )


@pytest.mark.parametrize(
    "traceparent",
    [
        pytest.param(b"", id="empty"),
        pytest.param(VALID.upper(), id="capitals"),
        pytest.param(VALID + b"-x", id="version-00-and-more"),
        pytest.param(b"ff" + VALID[2:], id="version-ff"),
        pytest.param(b"01" + VALID[2:] + b"x", id="later-version-without-a-dash"),
        pytest.param(VALID + b", " + VALID, id="repeated"),
        pytest.param(b"01" + VALID[2:] + b"-x, " + VALID, id="repeated-in-a-later-version"),
        pytest.param(VALID.replace(TRACE_ID, b"0" * 32), id="no-trace-id"),
        pytest.param(VALID.replace(PARENT, b"0" * 16), id="no-parent-id"),
        pytest.param(VALID[:-1], id="short"),
        pytest.param(VALID + b"\n", id="newline"),
    ],
)
def test_bad_traceparent_starts_a_new_trace_without_a_state(traceparent: bytes) -> None:
    trace = traced(traceparent=traceparent, tracestate=b"a=1")

    assert (parent_of(trace)[3:35], state_of(trace)) == (NEW_TRACE, b"")


def test_each_digit_of_a_traceparent_is_lower_case_hexadecimal() -> None:
    template = VALID[:20] + b"@@" + VALID[21:]
    taken = {
        octet
        for octet in EVERY
        if parent_of(traced(traceparent=put(template, octet)))[3:35] != NEW_TRACE
    }

    assert taken == set(b"0123456789abcdef")


def test_state_without_a_traceparent_is_dropped() -> None:
    assert state_of(traced(tracestate=b"a=1")) == b""


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        pytest.param(b"a=1,b@c/d-e*f_g=x y", b"a=1,b@c/d-e*f_g=x y", id="in-order"),
        pytest.param(b" a=1\t, ,b=2,", b"a=1,b=2", id="spaces-and-empty-members"),
        pytest.param(b"a=1,a=2", b"", id="key-twice"),
        pytest.param(b"a", b"", id="no-value"),
        pytest.param(b"a=", b"", id="empty-value"),
        pytest.param(b"A=1", b"", id="capital-key"),
        pytest.param(b"a=1=2", b"", id="equals-in-value"),
        pytest.param(b"a=" + b"x" * 256, b"a=" + b"x" * 256, id="longest-value"),
        pytest.param(b"a=" + b"x" * 257, b"", id="value-too-long"),
        pytest.param(b"a" * 256 + b"=1", b"a" * 256 + b"=1", id="longest-key"),
        pytest.param(b"a" * 257 + b"=1", b"", id="key-too-long"),
    ],
)
def test_members_of_the_state(sent: bytes, kept: bytes) -> None:
    assert state_of(traced(traceparent=VALID, tracestate=sent)) == kept


def test_state_keeps_32_members() -> None:
    members = [b"k%d=v" % n for n in range(40)]

    kept = state_of(traced(traceparent=VALID, tracestate=b",".join(members)))

    assert kept == b",".join(members[:32])


def test_each_octet_of_a_states_value_is_printable() -> None:
    template = b"a=x@@x"
    taken = {
        octet
        for octet in EVERY
        if state_of(traced(traceparent=VALID, tracestate=put(template, octet)))
    }

    assert taken == set(range(0x20, 0x7F)) - set(b",=")


@pytest.mark.parametrize(
    ("field", "longest"), [("x_request_id", 128), ("x_chora_trace_id", 200)], ids=str
)
def test_callers_own_id_is_kept_up_to_a_length(field: str, longest: int) -> None:
    kept = {
        length
        for length in (0, 1, longest, longest + 1)
        if b"i" * length in parts_of(traced(**{field: b"i" * length}))
    }

    assert kept == {1, longest}


@pytest.mark.parametrize("value", [b"a, b", b"a b", b"a\tb", b"\x80", b""], ids=repr)
def test_bad_ids_are_replaced(value: bytes) -> None:
    trace = traced(x_request_id=value, x_chora_trace_id=value)

    assert (trace.trace_id, trace.request_id) == (NEW_TRACE, NEW_REQUEST)


def test_small_draw_still_fills_every_name() -> None:
    trace = trace_of({}, lambda _: 1 << 300 | 1 << 130 | 1)

    assert [len(name) for name in (trace.trace_id, trace.request_id)] == [32, 32]
    assert re.fullmatch(rb"00-[0-9a-f]{32}-[0-9a-f]{16}-01", parent_of(trace))


def test_two_calls_share_no_name() -> None:
    first = trace_of({}, drawn)
    second = trace_of({}, lambda _: int("1" * 32 + "2" * 16 + "3" * 32, 16))

    names = [
        {trace.trace_id, trace.request_id, *parent_of(trace).split(b"-")[1:3]}
        for trace in (first, second)
    ]
    assert (names[0] & names[1], [len(each) for each in names]) == (set(), [3, 3])


@pytest.mark.parametrize("part", [0.0, 1e-9, 0.25, 0.5, 0.999, 1 - 2**-53, 1.0])
@pytest.mark.parametrize("end", [0, 1, 1 << 62, (1 << 62) - 1, 1 << 63, (1 << 64) - 1])
def test_new_trace_says_whether_it_is_sampled_as_opentelemetry_decides(
    part: float, end: int
) -> None:
    drawn_id = 7 << 64 | end

    trace = trace_of({}, lambda _: drawn_id << 192, sampling_bound(part))

    flag = trace.context_lines.rstrip()[-2:]
    assert flag == (b"01" if end < TraceIdRatioBased(part).bound else b"00")


def test_callers_flag_is_kept_whatever_is_sampled_here() -> None:
    trace = trace_of({b"traceparent": VALID}, drawn, sampling_bound(0.0))

    assert trace.context_lines.rstrip().endswith(b"-01")


def test_w3c_id_is_that_of_the_parent() -> None:
    assert traced(traceparent=VALID).w3c_id == TRACE_ID


def test_a_trace_is_the_same_in_another_process() -> None:
    trace = trace_of({}, drawn)

    there: Trace = pickle.loads(pickle.dumps(trace))  # noqa: S301 - our own

    assert (there.trace_id, there.request_id, there.id_lines, there.context_lines) == (
        trace.trace_id,
        trace.request_id,
        trace.id_lines,
        trace.context_lines,
    )
