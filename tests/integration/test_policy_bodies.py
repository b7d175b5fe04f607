"""Calls under a policy: which bodies can be judged, and what of them goes on to the upstream."""

from collections.abc import Iterator

import pytest

from tests.support.invocations import JSON
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, message, post, post_chunked
from tests.support.opa_server import OpaServer, result_of
from tests.support.origin import Origin, Visit
from tests.support.policy_server import ALLOWED, ANN, Judged, call, invoke, judged
from tests.support.problems import problem_of
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

MIB = 1 << 20
_NUMBERS = iter(range(1 << 62))


@pytest.fixture(scope="module")
def all_three(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judged]:
    with judged(loop_thread, tmp_path_factory.mktemp("policy")) as all_three:
        yield all_three


@pytest.fixture
def sidecar(all_three: Judged) -> Sidecar:
    all_three.forget()
    return all_three.sidecar


@pytest.fixture
def origin(all_three: Judged) -> Origin:
    return all_three.origin


@pytest.fixture
def opa(all_three: Judged) -> OpaServer:
    return all_three.opa


@pytest.fixture
def body() -> bytes:
    """Parameters that no test before has sent."""
    return b'{"n":%d}' % next(_NUMBERS)


@pytest.mark.parametrize("ask", [call, invoke], ids=["tools", "invoke"])
def test_what_goes_on_is_what_was_judged(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes, ask: object
) -> None:
    odd = (
        rb'{ "a\u0062" : 123456789012345678901234567890, "c":1.50 , "d" : "\u00e9\/" ,'
        rb'"e":[ ], "f":-0.0,"g":1E2, "__proto__": {}, "own": %b}'
    ) % body
    assert callable(ask)

    answer = sidecar.ask(ask(odd))

    (visit,) = origin.calls
    judged = opa.inputs[0]["tool"]["parameters"]
    assert (answer.status, b" " in visit.body, visit.value("content-length")) == (
        200,
        False,
        str(len(visit.body)),
    )
    assert bytes(visit.body) in bytes(opa.calls[0].body)
    assert judged["ab"] == 123456789012345678901234567890


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b'{"a":1,"a":2}', 400),
        (b'{"a":{"b":1,"\\u0062":2}}', 400),
        (b'[{"a":1,"a":1}]', 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"1", 400),
        (b"{} {}", 400),
        (b"{", 400),
        (b'{"a":NaN}', 400),
        (b'{"a":Infinity}', 400),
        (b'{"a":"\xff"}', 400),
        (b"\xef\xbb\xbf{}", 400),
        (b'{"a":' * 100_000, 400),
        (b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
        (b'{"a":' + b"9" * 5000 + b"}", 400),
        (b'{"a":"%s"}' % (b"x" * MIB), 413),
    ],
    ids=[
        "repeated", "repeated-escaped", "repeated-inside", "array", "string", "number",
        "two", "half", "nan", "infinity", "no-utf-8", "mark", "deep-half", "deep", "long-number",
        "large",
    ],
)  # fmt: skip
@pytest.mark.parametrize("how", ["counted", "chunked", "invoke"])
def test_what_cannot_be_judged_is_refused(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, octets: bytes, status: int, how: str
) -> None:
    request = {
        "counted": lambda: call(octets),
        "chunked": lambda: post_chunked("/tools/o.call", JSON, ANN, body=chunked(octets)),
        "invoke": lambda: invoke(octets),
    }[how]()

    answer = sidecar.ask(request)

    assert (answer.status, origin.calls, opa.calls) == (status, [], [])


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (b"Content-Type: text/plain",),
        (b"Content-Type: application/json; charset=utf-16",),
        (JSON, b"Content-Type: text/plain"),
        (JSON, b"Content-Encoding: gzip"),
        (JSON, b"Content-Encoding: x", b"Content-Encoding: identity"),
    ],
    ids=["none", "text", "utf-16", "two", "gzip", "many"],
)
def test_what_is_not_plain_json_is_refused(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes, fields: tuple[bytes, ...]
) -> None:
    answer = sidecar.ask(post("/tools/o.call", ANN, *fields, body=body))

    assert (answer.status, origin.calls, opa.calls) == (415, [], [])
    assert problem_of(answer)["code"] == "unsupported_media_type"


def test_body_up_to_the_bound_is_judged(sidecar: Sidecar, origin: Origin) -> None:
    octets = b'{"a":"' + b"x" * (MIB - 8) + b'"}'

    answer = sidecar.ask(call(octets))

    assert (answer.status, [bytes(each.body) == octets for each in origin.calls]) == (200, [True])


def test_empty_body_is_judged_as_an_empty_object(
    sidecar: Sidecar, origin: Origin, opa: OpaServer
) -> None:
    answer = sidecar.ask(call(b"", target="/tools/o.critical"))

    assert (answer.status, [bytes(each.body) for each in origin.calls]) == (200, [b"{}"])
    assert [each["tool"]["parameters"] for each in opa.inputs] == [{}]


@pytest.mark.parametrize("target", ["/tools/o.call?a=1", "/tools/o.call?"])
def test_query_is_refused_because_nobody_judges_it(
    sidecar: Sidecar, origin: Origin, body: bytes, target: str
) -> None:
    answer = sidecar.ask(call(body, target=target))

    assert (answer.status, origin.calls) in [(400, []), (403, [])]
    problem_of(answer)


def test_server_that_is_not_under_it_is_not_judged(
    sidecar: Sidecar, origin: Origin, opa: OpaServer
) -> None:
    octets = b"\x00not json" * 300_000

    answer = sidecar.ask(post("/tools/free.call?a=1", ANN, b"Content-Encoding: gzip", body=octets))

    assert (answer.status, len(origin.calls[0].body), opa.calls) == (200, len(octets), [])


def test_passing_through_is_closed_where_a_policy_is(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes
) -> None:
    came = [sidecar.ask(call(body, target=f"/servers/{ns}/mcp")).status for ns in ("o", "free")]

    assert (came, len(origin.calls), opa.calls) == ([403, 200], 1, [])


def test_body_that_does_not_come_asks_nobody(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes
) -> None:
    head = message(
        b"POST /tools/o.call HTTP/1.1",
        b"Host: a",
        JSON,
        ANN,
        b"Request-Timeout: 0.3",
        b"Content-Length: 500",
    )

    answer = sidecar.ask(head + body)

    assert (answer.status in {408, 504}, origin.calls, opa.calls) == (True, [], []), answer


def test_leave_to_go_on_is_given_before_it_is_judged(sidecar: Sidecar, body: bytes) -> None:
    length = b"Content-Length: %d" % len(body)
    head = message(
        b"POST /tools/o.call HTTP/1.1", b"Host: a", JSON, ANN, b"Expect: 100-continue", length
    )
    with sidecar.caller() as caller:
        caller.send(head)
        caller.until(b"100 Continue\r\n\r\n")
        caller.send(body)

        assert caller.answer().status == 200


def test_caller_who_leaves_while_it_is_judged_calls_nobody(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()

    async def held(visit: Visit) -> None:
        await visit.read()
        await gate.passed()
        await visit.send(result_of(ALLOWED))

    opa.script = held
    with sidecar.caller() as caller:
        caller.send(call(body))
        assert eventually(lambda: opa.calls)
    sidecar.get("/livez")
    gate.open()
    opa.says(ALLOWED)

    assert sidecar.ask(call(b'{"after":%s}' % body)).status == 200
    assert [bytes(each.body) for each in origin.calls] == [b'{"after":%s}' % body]


def test_many_equal_calls_are_each_judged_and_each_made(
    sidecar: Sidecar, origin: Origin, body: bytes
) -> None:
    with sidecar.caller() as caller:
        caller.send(call(body) * 20)
        came = [caller.answer().status for _ in range(20)]

    assert (came, len(origin.calls)) == ([200] * 20, 20)


def test_refusals_leave_the_connection_in_order(
    sidecar: Sidecar, opa: OpaServer, body: bytes
) -> None:
    opa.decides(lambda asked: {"allow": "n" in asked["tool"]["parameters"]})
    with sidecar.caller() as caller:
        caller.send(call(b'{"m":1}') + call(body) + call(b"[]") + call(body, target="/tools/o.x"))
        came = [caller.answer().status for _ in range(4)]

    assert came == [403, 200, 400, 404]
