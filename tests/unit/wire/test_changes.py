"""Facts about changed fields: what is set, what is left out, and what is made once."""

from proxy.config.templates import template
from proxy.wire.changes import Changes
from proxy.wire.forwarding import Caller
from proxy.wire.templates import Scene, Template
from tests.support.heads import read_request, read_response
from tests.support.messages import message

CALLER = Caller(b"10.0.0.7", b"http", b"1.1 toolproxy-1", trusted=False)


def changes(*removed: str, **set_to: str) -> Changes:
    given = {name.replace("_", "-"): Template(template(text)) for name, text in set_to.items()}
    return Changes(given, removed)


def scene() -> Scene:
    head = read_request(message(b"GET /a HTTP/1.1", b"Host: b.example"))
    return Scene(head, CALLER, 80, b"/a", (), b"id")


def answer() -> bytes:
    return message(
        b"HTTP/1.1 200 OK", b"Content-Length: 0", b"Server: x", b"A: 1", b"B: 2", b"server: y"
    )


def test_constant_fields_come_before_those_that_vary() -> None:
    made = changes("Gone", X_Host="$host", X_Env="prod", X_Uri="$uri")

    assert made.lines(scene()) == b"X-Env: prod\r\nX-Host: b.example\r\nX-Uri: /a\r\n"
    assert made.varying(scene()) == b"X-Host: b.example\r\nX-Uri: /a\r\n"
    assert made.names == {b"gone", b"x-host", b"x-env", b"x-uri"}
    assert (made.varies, made.per_call, repr(made)) == (True, False, "<Changes of 4 fields>")


def test_constant_fields_are_all_there_is() -> None:
    made = changes(X_Env="prod")

    assert (made.lines(scene()), made.varies) == (b"X-Env: prod\r\n", False)


def test_request_id_differs_from_call_to_call() -> None:
    assert changes(X_Id="$request_id").per_call


def test_empty_field_is_none() -> None:
    made = changes(A="", B="$args", C="c")

    assert made.lines(scene()) == b"C: c\r\n"
    assert made.names == {b"a", b"b", b"c"}


def test_answer_has_what_is_set_in_place_of_its_own() -> None:
    head = read_response(answer())

    made = changes("Server", A="ours", X_Host="$host").applied(head)

    assert made.lines == b"\r\nB: 2\r\nA: ours"
    assert (made.status, made.noted, made.body_bytes) == (200, head.noted, 0)
    assert head.lines == b"\r\nServer: x\r\nA: 1\r\nB: 2\r\nserver: y"


def test_answer_may_only_lose_fields() -> None:
    assert changes("Server").applied(read_response(answer())).lines == b"\r\nA: 1\r\nB: 2"


def test_head_that_comes_again_is_changed_once() -> None:
    head, one, other = read_response(answer()), changes("A"), changes("B")

    made = one.applied(head)

    assert one.applied(head) is made
    assert other.applied(head).lines == b"\r\nServer: x\r\nA: 1\r\nserver: y"
    assert one.applied(head) is not made
