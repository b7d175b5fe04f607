"""Contract, "Trace": each sentence; W3C Trace Context, sections 3 and 4."""

import re

import pytest

from tests.support.messages import post
from tests.support.origin import Origin, Visit
from tests.support.sidecar import Sidecar

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
VALID = f"00-{TRACE}-{PARENT}-01"
FORM = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
ZERO_TRACE, ZERO_PARENT = "0" * 32, "0" * 16

CONTINUED = {
    "sampled": (VALID, "01"),
    "not-sampled": (f"00-{TRACE}-{PARENT}-00", "00"),
    "random-flag": (f"00-{TRACE}-{PARENT}-03", "03"),
    "higher-version": (f"01-{TRACE}-{PARENT}-01", "01"),
    "higher-version-with-more": (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", "01"),
}
INVALID = {
    "empty": "",
    "nonsense": "nonsense",
    "version-ff": f"ff-{TRACE}-{PARENT}-01",
    "version-no-hex": f"zz-{TRACE}-{PARENT}-01",
    "version-of-one-digit": f"0-{TRACE}-{PARENT}-01",
    "zero-trace": f"00-{ZERO_TRACE}-{PARENT}-01",
    "zero-parent": f"00-{TRACE}-{ZERO_PARENT}-01",
    "upper-case-trace": f"00-{TRACE.upper()}-{PARENT}-01",
    "upper-case-parent": f"00-{TRACE}-{PARENT.upper()}-01",
    "short-trace": f"00-{TRACE[:-1]}-{PARENT}-01",
    "long-trace": f"00-{TRACE}0-{PARENT}-01",
    "short-parent": f"00-{TRACE}-{PARENT[:-1]}-01",
    "no-flags": f"00-{TRACE}-{PARENT}",
    "flags-no-hex": f"00-{TRACE}-{PARENT}-0x",
    "upper-case-flags": f"00-{TRACE}-{PARENT}-0A",
    "version-00-with-more": f"{VALID}-more",
    "higher-version-glued": f"cc-{TRACE}-{PARENT}-01more",
    "underscores": VALID.replace("-", "_"),
    "two-in-one": f"{VALID},{VALID}",
}


@pytest.mark.parametrize(("given", "flags"), CONTINUED.values(), ids=CONTINUED.keys())
def test_valid_traceparent_is_continued_with_a_new_parent(
    sidecar: Sidecar, origin: Origin, given: str, flags: str
) -> None:
    trace, parent, sent_flags = _traceparent(_called(sidecar, origin, f"traceparent: {given}"))

    assert (trace, parent != PARENT, sent_flags) == (TRACE, True, flags)


@pytest.mark.parametrize("given", INVALID.values(), ids=INVALID.keys())
def test_invalid_traceparent_starts_a_trace_without_state(
    sidecar: Sidecar, origin: Origin, given: str
) -> None:
    call = _called(sidecar, origin, f"traceparent: {given}", "tracestate: a=1")

    trace, parent, _ = _traceparent(call)
    found = (trace in {TRACE, ZERO_TRACE}, parent in {PARENT, ZERO_PARENT})
    assert (found, call.values("tracestate")) == ((False, False), [])


def test_repeated_traceparent_starts_a_trace_without_state(
    sidecar: Sidecar, origin: Origin
) -> None:
    fields = (f"traceparent: {VALID}", f"traceparent: {VALID}", "tracestate: a=1")

    call = _called(sidecar, origin, *fields)

    assert (_traceparent(call)[0] == TRACE, call.values("tracestate")) == (False, [])


def test_state_without_traceparent_is_dropped(sidecar: Sidecar, origin: Origin) -> None:
    assert _called(sidecar, origin, "tracestate: a=1").values("tracestate") == []


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(["a=1,b=2,c=3"], id="one-field"),
        pytest.param(["a=1", "b=2,c=3"], id="two-fields"),
        pytest.param(["a=1", "b=2", "c=3"], id="three-fields"),
        pytest.param(["a=1 ,\tb=2", ",c=3"], id="white-space-and-empty-members"),
    ],
)
def test_state_is_kept_in_order(sidecar: Sidecar, origin: Origin, fields: list[str]) -> None:
    state = [f"tracestate: {field}" for field in fields]

    call = _called(sidecar, origin, f"traceparent: {VALID}", *state)

    members = re.split(r"[ \t]*,[ \t]*", ",".join(call.values("tracestate")))
    assert [member.strip() for member in members if member] == ["a=1", "b=2", "c=3"]


def test_long_state_is_kept(sidecar: Sidecar, origin: Origin) -> None:
    state = ",".join(f"vendor{number}={'v' * 20}" for number in range(18))
    assert len(state) > 512

    call = _called(sidecar, origin, f"traceparent: {VALID}", f"tracestate: {state}")

    assert ",".join(call.values("tracestate")).replace(" ", "") == state


@pytest.mark.parametrize("state", ["A=1", "a", "=1", "a=b=c", "a=1;b", "a=\xe9"])
def test_bad_state_does_not_cost_the_trace(sidecar: Sidecar, origin: Origin, state: str) -> None:
    call = _called(sidecar, origin, f"traceparent: {VALID}", f"tracestate: {state}")

    assert _traceparent(call)[0] == TRACE


@pytest.mark.parametrize("name", ["traceparent", "Traceparent", "TRACEPARENT", "TraceParent"])
def test_name_is_read_in_any_case_and_sent_in_lower(
    sidecar: Sidecar, origin: Origin, name: str
) -> None:
    call = _called(sidecar, origin, f"{name}:  {VALID} ")

    assert (_traceparent(call)[0], b"\r\ntraceparent: " in call.head) == (TRACE, True)


def test_each_call_has_a_trace_of_its_own(sidecar: Sidecar, origin: Origin) -> None:
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call") * 20)
        for _ in range(20):
            caller.answer()

    assert len({_traceparent(call) for call in origin.calls}) == 20


def test_chora_id_is_the_trace_id_without_one(sidecar: Sidecar, origin: Origin) -> None:
    call = _called(sidecar, origin)

    assert call.value("x-chora-trace-id") == _traceparent(call)[0]


def test_chora_id_is_the_continued_trace_id_without_one(sidecar: Sidecar, origin: Origin) -> None:
    assert _called(sidecar, origin, f"traceparent: {VALID}").value("x-chora-trace-id") == TRACE


@pytest.mark.parametrize("given", ["workflow-abc123", "x", "!~", "v" * 200])
def test_chora_id_of_the_caller_is_kept(sidecar: Sidecar, origin: Origin, given: str) -> None:
    call = _called(sidecar, origin, f"X-Chora-Trace-Id: {given}", f"traceparent: {VALID}")

    assert (call.value("x-chora-trace-id"), _traceparent(call)[0]) == (given, TRACE)


@pytest.mark.parametrize("given", ["", "v" * 201, "a b", "a\tb", "caf\xe9"])
def test_invalid_chora_id_is_replaced(sidecar: Sidecar, origin: Origin, given: str) -> None:
    call = _called(sidecar, origin, f"X-Chora-Trace-Id: {given}")

    assert call.value("x-chora-trace-id") == _traceparent(call)[0]


@pytest.mark.parametrize("given", ["mine-1", "x", "v" * 128])
def test_request_id_of_the_caller_is_kept(sidecar: Sidecar, origin: Origin, given: str) -> None:
    assert _called(sidecar, origin, f"X-Request-Id: {given}").value("x-request-id") == given


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(["X-Request-Id: "], id="empty"),
        pytest.param(["X-Request-Id: " + "v" * 129], id="too-long"),
        pytest.param(["X-Request-Id: a b"], id="space"),
        pytest.param(["X-Request-Id: caf\xe9"], id="no-ascii"),
        pytest.param(["X-Request-Id: a", "X-Request-Id: b"], id="two"),
        pytest.param(["X-Request-Id: a", "x-request-id: a"], id="two-equal"),
    ],
)
def test_any_other_request_id_is_replaced(
    sidecar: Sidecar, origin: Origin, fields: list[str]
) -> None:
    given = [field.split(": ")[1] for field in fields]

    replaced = _called(sidecar, origin, *fields).value("x-request-id") or ""

    assert (replaced in given, re.fullmatch(r"[!-~]{1,128}", replaced) is not None) == (False, True)


def _called(sidecar: Sidecar, origin: Origin, *fields: str) -> Visit:
    """What the upstream saw of one call with these fields."""
    answer = sidecar.ask(post("/tools/o.call", *(field.encode("latin-1") for field in fields)))
    assert answer.status == 200
    return origin.calls[-1]


def _traceparent(call: Visit) -> tuple[str, str, str]:
    matched = FORM.fullmatch(call.value("traceparent") or "")
    assert matched, call.values("traceparent")
    return matched[1], matched[2], matched[3]
