"""`Idempotency-Key`: a call that is sent again is made once, and answered twice.

Knows what a caller sees and how often the upstream was called; not where answers are kept.
"""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.caller import Answer
from tests.support.invocations import JSON, asking, invoke
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, message, post, post_chunked
from tests.support.origin import Origin
from tests.support.pairs import Pair, running
from tests.support.problems import problem_of
from tests.support.scripts import answers, echo, holds
from tests.support.sidecar import NEVER_OPENS, Server, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

REPLAYED = "idempotency-replayed"
KEY = b"Idempotency-Key: k-1"

_NUMBERS = iter(range(1 << 62))


@pytest.fixture
def key() -> bytes:
    """One that no test before has used."""
    return b"Idempotency-Key: k-%d" % next(_NUMBERS)


def servers(url: str) -> list[Server]:
    return [server("o", url, tools=["call", "other"], passthrough=True), server("p", url)]


@pytest.fixture(scope="module")
def pair(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("idempotency")
    settings = {"defaults": {"circuit": NEVER_OPENS}}
    with running(loop_thread, directory, servers, settings) as both:
        yield both


@pytest.fixture
def origin(pair: Pair) -> Origin:
    pair.origin.forget(echo)
    return pair.origin


@pytest.fixture
def sidecar(pair: Pair, origin: Origin) -> Sidecar:
    del origin
    return pair.sidecar


def without_own(answer: Answer) -> tuple[object, ...]:
    """What two answers to one call have in common."""
    own = {b"x-request-id", b"x-chora-trace-id", b"via", b"idempotency-replayed", b"date"}
    kept = [field for field in answer.headers if field[0].lower() not in own]
    return answer.status, answer.reason, sorted(kept), answer.body, answer.trailers


@pytest.mark.parametrize("how", ["tools", "invoke", "both"])
def test_nine_at_once_are_one_call(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes, how: str
) -> None:
    gate = loop_thread.gate()
    head = message(b"HTTP/1.1 201 Made", b"X-A: 1", b"X-A: 2", b"Content-Length: 4")
    origin.script = holds(gate, answers(head + b"\x00\xff\r\n"))
    called = post("/tools/o.call", JSON, key, body=b'{"a": 1}')
    invoked = invoke(asking(b'{"a": 1}'), key)
    requests = {"tools": [called], "invoke": [invoked], "both": [called, invoked]}[how]
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(sidecar.caller()) for _ in range(9)]
        for place, caller in enumerate(callers):
            caller.send(requests[place % len(requests)])
        for caller in callers:
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        came = [caller.answer() for caller in callers]

    assert len(origin.calls) == 1
    assert [without_own(each) for each in came] == [without_own(came[0])] * 9
    assert (came[0].status, came[0].reason, came[0].values("x-a"), came[0].body) == (
        201,
        b"Made",
        ["1", "2"],
        b"\x00\xff\r\n",
    )


def test_call_that_is_sent_again_is_answered_from_memory(
    sidecar: Sidecar, origin: Origin, key: bytes
) -> None:
    request = post("/tools/o.call", key, body=b'{"a": 1}')

    first, second, third = (sidecar.ask(request) for _ in range(3))

    assert len(origin.calls) == 1
    assert [each.value(REPLAYED) for each in (first, second, third)] == [None, "true", "true"]
    assert without_own(first) == without_own(second) == without_own(third)


def test_each_answer_has_the_ids_of_its_own_request(sidecar: Sidecar, key: bytes) -> None:
    ids = [
        (b"X-Request-Id: r-%d" % number, b"X-Chora-Trace-Id: t-%d" % number) for number in (1, 2)
    ]

    came = [sidecar.ask(post("/tools/o.call", key, *each)) for each in ids]

    assert [(each.value("x-request-id"), each.value("x-chora-trace-id")) for each in came] == [
        ("r-1", "t-1"),
        ("r-2", "t-2"),
    ]


def test_way_in_does_not_matter(sidecar: Sidecar, origin: Origin, key: bytes) -> None:
    came = [
        sidecar.ask(invoke(asking(b'{"a": 1}'), key)),
        sidecar.ask(post("/tools/o.call", JSON, key, body=b'{"a": 1}')),
        sidecar.ask(post_chunked("/tools/o.call", JSON, key, body=chunked(b'{"a"', b": 1}"))),
    ]

    assert [each.value(REPLAYED) for each in came] == [None, "true", "true"]
    assert len(origin.calls) == 1


@pytest.mark.parametrize(
    "other",
    [
        post("/tools/o.call", body=b'{"a": 2}'),
        post("/tools/o.call", body=b'{"a":1}'),
        post("/tools/o.call", body=b""),
        post("/tools/o.other", body=b'{"a": 1}'),
        post("/tools/p.call", body=b'{"a": 1}'),
        post("/tools/o.call?x=1", body=b'{"a": 1}'),
        post("/tools/o.call?", body=b'{"a": 1}'),
        invoke(asking(b'{"a": 2}')),
        post_chunked("/tools/o.call", body=chunked(b'{"a": 1}', b" ")),
    ],
    ids=[
        "body", "spaces", "empty", "tool", "server", "query", "empty-query", "invoked", "chunked",
    ],
)  # fmt: skip
def test_same_key_on_another_call_is_refused(
    sidecar: Sidecar, origin: Origin, key: bytes, other: bytes
) -> None:
    sidecar.ask(post("/tools/o.call", key, body=b'{"a": 1}'))
    line, _, rest = other.partition(b"\r\n")

    answer = sidecar.ask(line + b"\r\n" + key + b"\r\n" + rest)

    assert (answer.status, len(origin.calls)) == (422, 1)
    assert answer.json()["code"] == "idempotency_mismatch"


def test_same_key_on_another_call_is_refused_while_the_first_is_running(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", key))
        assert eventually(lambda: origin.calls)

        assert sidecar.ask(post("/tools/o.call", key, body=b"other")).status == 422
        gate.open()
        assert caller.answer().status == 200


def test_refusal_leaves_what_is_kept_and_the_connection(sidecar: Sidecar, key: bytes) -> None:
    with sidecar.caller() as caller:
        for body in (b"1", b"2", b"1"):
            caller.send(post("/tools/o.call", key, body=body))
        came = [caller.answer() for _ in range(3)]

    assert [each.status for each in came] == [200, 422, 200]
    assert came[2].value(REPLAYED) == "true"


def test_pipelined_repeats_are_answered_in_turn(
    sidecar: Sidecar, origin: Origin, key: bytes
) -> None:
    with sidecar.caller() as caller:
        caller.send(
            post("/tools/o.call", key, body=b"1")
            + post("/tools/o.call", key, body=b"1")
            + post("/tools/o.call", body=b"2")
            + post("/tools/o.call", key, body=b"1")
        )
        came = [caller.answer().json()["body"] for _ in range(4)]

    assert (came, len(origin.calls)) == (["1", "1", "2", "1"], 2)


def test_empty_body_and_an_empty_object_reach_the_upstream_alike(
    sidecar: Sidecar, origin: Origin, key: bytes
) -> None:
    came = [sidecar.ask(post("/tools/o.call", key, body=b"")) for _ in range(2)]

    assert [each.status for each in came] == [200, 200]
    assert [bytes(call.body) for call in origin.calls] == [b"{}"]


@pytest.mark.parametrize(
    "fields",
    [
        (b"Idempotency-Key:",),
        (b"Idempotency-Key: ",),
        (b"Idempotency-Key: " + b"k" * 300,),
        (b"Idempotency-Key: a", b"Idempotency-Key: a"),
        (b"Idempotency-Key: a", b"Idempotency-Key: b"),
        (b"Idempotency-Key: a b",),
        (b"Idempotency-Key: a\tb",),
        (b"Idempotency-Key: \xe9",),
    ],
    ids=["empty", "blank", "long", "twice", "two", "space", "tab", "latin"],
)
@pytest.mark.parametrize("target", ["/tools/o.call", "/api/v1/invoke"])
def test_key_that_is_none_is_refused(
    sidecar: Sidecar, origin: Origin, fields: tuple[bytes, ...], target: str
) -> None:
    body = b'{"server":"o","tool":"call"}'
    answer = sidecar.ask(post(target, JSON, *fields, body=body))

    assert (answer.status, origin.calls) == (400, []), answer
    assert problem_of(answer)["code"] == "bad_request"


def test_key_goes_on_to_the_upstream(sidecar: Sidecar, origin: Origin, key: bytes) -> None:
    sidecar.ask(post("/tools/o.call", key))
    sidecar.ask(post("/servers/o/any", key))

    values = [call.value("idempotency-key") for call in origin.calls]
    assert values[1] == key.split()[1].decode()


def test_key_in_passing_through_is_only_forwarded(
    sidecar: Sidecar, origin: Origin, key: bytes
) -> None:
    came = [sidecar.ask(post("/servers/o/any", key)) for _ in range(2)]

    assert [each.value(REPLAYED) for each in came] == [None, None]
    assert len(origin.calls) == 2


def test_calls_without_a_key_are_never_joined(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call"))
        assert eventually(lambda: len(origin.calls) == 2)
        gate.open()
        assert [first.answer().status, second.answer().status] == [200, 200]


def test_events_tell_of_each_call(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    for _ in range(3):
        sidecar.ask(post("/tools/o.call", KEY))

    events = sidecar.get("/events?format=json&event_type=tool_invoked").json()["events"]

    assert isinstance(events, list)
    assert [each["status"] for each in events] == ["success"] * len(events)
    assert [each["attempts"] for each in events] in ([1], [1, 0, 0], [0, 0, 1])
