"""`Idempotency-Key`: which answers are given again, and as what?"""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.caller import Answer, BrokenOffError
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, message, ok, post, post_chunked
from tests.support.origin import Origin
from tests.support.pairs import Pair, running
from tests.support.scripts import answers, echo, holds, in_turn
from tests.support.sidecar import NEVER_OPENS, Server, Sidecar, server
from tests.support.waiting import eventually

REPLAYED = "idempotency-replayed"
BOUND_BYTES = 256 << 10

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


@pytest.mark.parametrize("status", [400, 404, 409, 429, 500, 502, 503, 504])
def test_answer_of_the_upstream_is_kept_whatever_it_says(
    sidecar: Sidecar, origin: Origin, key: bytes, status: int
) -> None:
    origin.script = answers(message(b"HTTP/1.1 %d No" % status, b"Content-Length: 0"))

    came = [sidecar.ask(post("/tools/o.call", key)) for _ in range(2)]

    assert [(each.status, each.value(REPLAYED)) for each in came] == [
        (status, None),
        (status, "true"),
    ]
    assert len(origin.calls) == 1


@pytest.mark.parametrize(
    ("octets", "close"),
    [
        (b"", True),
        (b"rubbish\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", True),
    ],
    ids=["closed", "rubbish", "half"],
)
def test_what_the_upstream_did_not_answer_is_called_again(
    sidecar: Sidecar, origin: Origin, key: bytes, octets: bytes, *, close: bool
) -> None:
    origin.script = in_turn(answers(octets, close=close), answers(ok(b"whole")))
    with sidecar.caller() as caller, contextlib.suppress(BrokenOffError):
        caller.send(post("/tools/o.call", key))
        assert caller.answer().status == 502

    answer = sidecar.ask(post("/tools/o.call", key))

    assert (answer.body, answer.value(REPLAYED), len(origin.calls)) == (b"whole", None, 2)


@pytest.mark.parametrize(
    "answer",
    [
        message(b"HTTP/1.1 204 None", b"X-A: 1"),
        message(b"HTTP/1.1 200 OK", b"Content-Length: 4", body=b"\x00\x01\xfe\xff"),
        message(b"HTTP/1.1 200 OK", b"Content-Length: 0"),
        message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(b"a", b"bc")),
        message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked()),
        message(b"HTTP/1.1 200 OK", b"Content-Encoding: gzip", b"Content-Length: 1", body=b"\x1f"),
        message(b"HTTP/1.1 304 Same", b'ETag: "a"'),
        message(b"HTTP/1.1 103 Early", b"Link: </a>") + ok(b"late"),
        message(b"HTTP/1.1 200 ", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 0"),
    ],
    ids=["204", "binary", "empty", "chunked", "no-chunk", "encoded", "304", "early", "cookies"],
)
def test_every_kind_of_answer_is_given_again(
    sidecar: Sidecar, origin: Origin, key: bytes, answer: bytes
) -> None:
    origin.script = answers(answer)
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call", key) * 3)
        came = [caller.answer() for _ in range(3)]

    framing = {b"content-length", b"transfer-encoding", b"trailer"}
    seen = [
        (status, reason, [f for f in fields if f[0].lower() not in framing], body)
        for status, reason, fields, body, _ in map(without_own, came)
        if isinstance(fields, list)
    ]
    assert seen == [seen[0]] * 3
    assert ([each.value(REPLAYED) for each in came[1:]], len(origin.calls)) == (["true"] * 2, 1)


def test_answer_with_trailers_is_whole_each_time(
    sidecar: Sidecar, origin: Origin, key: bytes
) -> None:
    body = b"2\r\nab\r\n0\r\nX-Sum: 1\r\n\r\n"
    head = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"Trailer: X-Sum")
    origin.script = answers(head + body)

    came = [sidecar.ask(post("/tools/o.call", key)) for _ in range(2)]

    assert [each.body for each in came] == [b"ab", b"ab"]
    assert came[0].trailers == ((b"X-Sum", b"1"),)
    assert came[1].trailers == came[0].trailers


def test_answer_that_ends_with_the_connection_is_given_again(
    sidecar: Sidecar, origin: Origin, key: bytes
) -> None:
    origin.script = answers(b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\nto the end", close=True)

    came = [sidecar.ask(post("/tools/o.call", key)) for _ in range(2)]

    assert [each.body for each in came] == [b"to the end"] * 2


def test_answers_to_http_1_0_are_its_own(sidecar: Sidecar, origin: Origin, key: bytes) -> None:
    origin.script = answers(
        message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(b"a", b"bc"))
    )
    old = message(b"POST /tools/o.call HTTP/1.0", key, b"Content-Length: 2", body=b"{}")

    came = [sidecar.ask(each) for each in (post("/tools/o.call", key), old)]

    assert [(each.body, each.value(REPLAYED)) for each in came] == [
        (b"abc", None),
        (b"abc", "true"),
    ]
    assert (came[1].values("transfer-encoding"), came[1].closes) == ([], True)


@pytest.mark.parametrize("size", [BOUND_BYTES, BOUND_BYTES + 1], ids=["at", "beyond"])
@pytest.mark.parametrize("coding", ["counted", "chunked"])
def test_answers_are_kept_up_to_the_bound(
    sidecar: Sidecar, origin: Origin, key: bytes, size: int, coding: str
) -> None:
    body = b"x" * size
    whole = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(body))
    origin.script = answers(ok(body) if coding == "counted" else whole)

    came = [sidecar.ask(post("/tools/o.call", key)) for _ in range(2)]

    assert [each.body == body for each in came] == [True, True]
    assert len(origin.calls) == (1 if size <= BOUND_BYTES else 2)


@pytest.mark.parametrize("size", [BOUND_BYTES, BOUND_BYTES + 1, 3_000_000])
@pytest.mark.parametrize("coding", ["counted", "chunked"])
def test_calls_are_kept_up_to_the_bound(
    sidecar: Sidecar, origin: Origin, key: bytes, size: int, coding: str
) -> None:
    body = b"x" * size
    origin.script = answers(ok())
    request = post("/tools/o.call", key, body=body)
    if coding == "chunked":
        request = post_chunked("/tools/o.call", key, body=chunked(body))

    came = [sidecar.ask(request) for _ in range(2)]

    assert [each.body for each in came] == [b"ok", b"ok"]
    assert [len(call.body) for call in origin.calls] == [size] * (1 if size <= BOUND_BYTES else 2)


@pytest.mark.parametrize("coding", ["counted", "chunked"])
def test_those_who_wait_for_an_answer_that_is_too_large_get_one(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes, coding: str
) -> None:
    gate, body = loop_thread.gate(), b"x" * (2 * BOUND_BYTES)
    whole = message(b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", body=chunked(body))
    origin.script = holds(gate, answers(ok(body) if coding == "counted" else whole))
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(sidecar.caller()) for _ in range(5)]
        for caller in callers:
            caller.send(post("/tools/o.call", key))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        came = [caller.answer() for caller in callers]

    assert [(each.status, each.body == body) for each in came] == [(200, True)] * 5


def test_those_who_wait_for_a_call_that_fails_get_an_answer(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    gate = loop_thread.gate()
    origin.script = in_turn(holds(gate, answers(b"", close=True)), echo)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(sidecar.caller()) for _ in range(5)]
        for caller in callers:
            caller.send(post("/tools/o.call", key))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        came = [caller.answer() for caller in callers]

    assert {each.status for each in came} <= {200, 502}
    assert sidecar.ask(post("/tools/o.call", key)).status == 200


def test_those_who_wait_for_an_answer_that_breaks_off_are_not_left_waiting(
    sidecar: Sidecar, origin: Origin, loop_thread: LoopThread, key: bytes
) -> None:
    gate = loop_thread.gate()
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"
    origin.script = in_turn(holds(gate, answers(half, close=True)), answers(ok(b"whole")))
    with sidecar.caller() as first, sidecar.caller() as second:
        for caller in (first, second):
            caller.send(post("/tools/o.call", key))
            caller.wait_until_read()
        assert eventually(lambda: origin.calls)
        gate.open()
        with pytest.raises(BrokenOffError):
            first.answer()
        with contextlib.suppress(BrokenOffError):
            answer = second.answer()
            assert answer.status == 502 or answer.body == b"whole"

    assert sidecar.ask(post("/tools/o.call", key)).body == b"whole"
