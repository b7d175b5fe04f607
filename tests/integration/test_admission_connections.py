"""Is a caller asked anew with every request? Who was let in once has let nobody else in.

And a stranger costs nothing: it is refused by its head, whatever becomes of its body.
"""

from collections.abc import Iterator

import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    code,
    shared_scene,
    usual,
    verdict,
)
from tests.support.caller import Answer, Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, get, message, post, post_chunked
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

Scene = tuple[Origin, Sidecar]
CALL = "/tools/o.call"
HEAD_OF_A_LARGE_ONE = message(
    b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Content-Length: 1000000000"
)
HUNDRED = b"x" * 100


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with shared_scene(loop_thread, tmp_path_factory.mktemp("connections"), usual()) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


def told(caller: Caller, *requests: bytes) -> list[int]:
    """The status of each answer, all requests having been sent in one piece."""
    caller.send(b"".join(requests))
    return [caller.answer(request.split(b" ")[0].decode()).status for request in requests]


@pytest.mark.parametrize(
    ("keys", "statuses"),
    [
        ([AS_CI, b""], [200, 401]),
        ([b"", AS_CI], [401, 200]),
        ([AS_CI, AS_NOBODY, AS_CI], [200, 401, 200]),
        ([AS_OPS, AS_CI, AS_OPS, b"", AS_CI], [200, 200, 200, 401, 200]),
    ],
)
def test_pipelined_requests_are_each_asked(
    sidecar: Sidecar, origin: Origin, keys: list[bytes], statuses: list[int]
) -> None:
    with sidecar.caller() as caller:
        assert told(caller, *(post(CALL, *filter(None, [key])) for key in keys)) == statuses

    assert len(origin.calls) == statuses.count(200)


def test_heads_that_are_all_alike_but_for_the_key_are_not_taken_for_each_other(
    sidecar: Sidecar,
) -> None:
    """A connection remembers the head before; not who it was."""
    forbidden = [post("/tools/ox.call", key) for key in (AS_OPS, AS_CI, AS_OPS, AS_NOBODY)]

    with sidecar.caller() as caller:
        assert told(caller, *forbidden) == [200, 403, 200, 401]


def test_call_and_control_share_no_identity(sidecar: Sidecar) -> None:
    requests = [
        post(CALL, AS_CI),
        get("/tools"),
        get("/tools", AS_OPS),
        get("/metrics", AS_CI),
        get("/metrics"),
        get("/metrics", AS_OPS),
        get("/metrics"),
        post(CALL),
        get("/events?format=json"),
    ]

    with sidecar.caller() as caller:
        assert told(caller, *requests) == [200, 401, 200, 403, 401, 200, 401, 401, 401]


def test_stranger_with_a_body_leaves_a_connection_that_still_works(
    sidecar: Sidecar, origin: Origin
) -> None:
    for body in (
        post(CALL, body=HUNDRED),
        post_chunked(CALL, body=chunked(HUNDRED, b"y")),
        post("/tools", body=HUNDRED),
        message(b"GET /tools HTTP/1.1", b"Host: a", b"Content-Length: 100", body=HUNDRED),
    ):
        with sidecar.caller() as caller:
            caller.send(body + post(CALL, AS_CI, body=b'{"second":1}'))
            first = caller.answer()
            assert first.status == 401
            if not first.closes:
                assert caller.answer().status == 200

    assert all(bytes(visit.body) == b'{"second":1}' for visit in origin.calls)


def test_body_of_a_stranger_is_never_taken_for_a_request(sidecar: Sidecar, origin: Origin) -> None:
    hidden = post(CALL, AS_CI, body=b"hidden")
    for request in (post(CALL, body=hidden), post_chunked(CALL, body=chunked(hidden))):
        with sidecar.caller() as caller:
            caller.send(request + get("/livez", b"Connection: close"))
            assert [each.status for each in caller.answers_until_close()] in ([401, 200], [401])

    assert origin.calls == []


@pytest.mark.parametrize("key", [[], [AS_NOBODY]], ids=["no-key", "unknown-key"])
@pytest.mark.parametrize("framing", [b"Content-Length: 1000000", b"Transfer-Encoding: chunked"])
def test_stranger_who_asks_first_is_refused_at_once(
    sidecar: Sidecar, origin: Origin, framing: bytes, key: list[bytes]
) -> None:
    line = b"POST /tools/o.call HTTP/1.1"
    with sidecar.caller() as caller:
        caller.send(message(line, b"Host: a", framing, b"Expect: 100-continue", *key))
        answer = caller.answer()

    assert (answer.status, answer.interim) == (401, ())
    assert origin.calls == []


def test_after_a_refused_question_no_body_is_mistaken(sidecar: Sidecar, origin: Origin) -> None:
    """RFC 9110, 10.1.1: whoever was refused may send its body all the same, or not."""
    expects = message(
        b"POST /tools/o.call HTTP/1.1",
        b"Host: a",
        b"Content-Length: 100",
        b"Expect: 100-continue",
    )
    with sidecar.caller() as caller:
        caller.send(expects)
        refused = caller.answer()
        caller.send_as_far_as_it_goes(HUNDRED + post(CALL, AS_CI))
        later = [] if refused.closes else [caller.answer().status]

    assert (refused.status, later) in ((401, []), (401, [200]))
    assert len(origin.calls) == len(later)


@pytest.mark.parametrize(
    "target",
    [CALL, "/tools/nobody.x", "/servers/o/mcp", "/tools", "/events", "/api/v1/invoke"],
)
def test_stranger_is_refused_before_its_body_is_read(
    sidecar: Sidecar, origin: Origin, target: str
) -> None:
    line = f"POST {target} HTTP/1.1".encode()
    for framing in (b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"):
        with sidecar.caller() as caller:
            caller.send(message(line, b"Host: a", framing))
            assert caller.answer().status in {401, 405}

    assert origin.calls == []


def test_forbidden_caller_is_refused_before_its_body_is_read(
    sidecar: Sidecar, origin: Origin
) -> None:
    line = b"POST /tools/ox.call HTTP/1.1"
    with sidecar.caller() as caller:
        caller.send(message(line, b"Host: a", b"Content-Length: 1000000", AS_CI))
        answer = caller.answer()

    assert verdict(answer) == (403, "forbidden")
    assert origin.calls == []


def test_endless_body_of_a_stranger_is_not_taken(sidecar: Sidecar, origin: Origin) -> None:
    """What a refused caller goes on sending comes to an end: the connection is closed."""
    with sidecar.caller() as caller:
        caller.send(HEAD_OF_A_LARGE_ONE)
        answer = caller.answer()
        taken = caller_taken(caller)

    assert answer.status == 401
    assert taken < 64 << 20
    assert origin.calls == []


def caller_taken(caller: Caller) -> int:
    """How many bytes go before the other end hangs up, to a limit."""
    piece, taken = memoryview(b"x" * (1 << 20)), 0
    try:
        while taken < 64 << 20 and (sent := caller.send_what_fits(piece, within_s=3.0)):
            taken += sent
    except ConnectionError:
        pass
    return taken


def test_held_back_bodies_of_strangers_hold_no_permit(sidecar: Sidecar, origin: Origin) -> None:
    crowd = [sidecar.caller() for _ in range(50)]
    for caller in crowd:
        caller.send(HEAD_OF_A_LARGE_ONE)

    answers: list[Answer] = [caller.answer() for caller in crowd]

    assert {verdict(answer) for answer in answers} == {(401, "unauthenticated")}
    assert sidecar.ask(post(CALL, AS_CI)).status == 200
    assert len(origin.calls) == 1
    for caller in crowd:
        caller.leave()


def test_refused_websocket_is_a_plain_refusal(sidecar: Sidecar) -> None:
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    for target in ("/tools/o.call", "/events", "/tools", "/servers/o/ws"):
        answer = sidecar.ask(message(f"GET {target} HTTP/1.1".encode(), b"Host: a", *upgrade))
        assert answer.status in {401, 405}, (target, answer)


def test_old_http_is_asked_too(sidecar: Sidecar, origin: Origin) -> None:
    plain = message(b"POST /tools/o.call HTTP/1.0", b"Content-Length: 2", body=b"{}")
    known = message(b"POST /tools/o.call HTTP/1.0", b"Content-Length: 2", AS_CI, body=b"{}")

    assert (sidecar.ask(plain).status, sidecar.ask(known).status) == (401, 200)
    assert len(origin.calls) == 1


def test_key_sent_byte_by_byte_is_the_same_key(sidecar: Sidecar) -> None:
    for key, status in ((AS_CI, 200), (AS_NOBODY, 401)):
        with sidecar.caller() as caller:
            caller.send_bytewise(post(CALL, key))
            assert caller.answer().status == status


def test_key_in_a_trailer_is_none(sidecar: Sidecar, origin: Origin) -> None:
    body = b"2\r\n{}\r\n0\r\n" + AS_CI + b"\r\n\r\n"
    with sidecar.caller() as caller:
        caller.send(post_chunked(CALL, body=body))

        assert code(caller.answer()) == "unauthenticated"
    assert not eventually(lambda: origin.calls, within_s=0.05)
