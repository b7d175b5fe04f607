"""`POST /api/v1/invoke`: which bodies are invocations, and which bytes reach the upstream?

That it is otherwise the same call as under `/tools` is the business of `test_invoke_like_tools.py`.
"""

from collections.abc import Iterator

import pytest

from tests.support.invocations import INVOKE, JSON, asking, invoke
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, post, post_chunked
from tests.support.origin import Origin
from tests.support.pairs import Pair, running
from tests.support.problems import problem_of
from tests.support.scripts import echo
from tests.support.sidecar import Sidecar, server

LONG = "A-_9" + "n" * 60
TOOLS = ["call", "b.c", "-._", "t" * 128]
AS_SENT = {
    "beyond-64-bits": b'{"a":123456789012345678901234567890,"b":-99999999999999999999}',
    "exponents": b'{"a":1E400,"b":1.0,"c":-0.0,"d":1e-999,"e":0.10000000000000000555}',
    "repeated-keys": b'{"a":1,"a":2,"a":1}',
    "odd-white-space": b'{\t"a" :\r\n[ 1 ,\n2 ] , "b"\t:{ } }',
    "escapes": rb'{"\u0061":"\/\b\f\n\r\t\"\\","b":"\u00e9\ud83d\ude00"}',
    "nul-escape": rb'{"a":"\u0000"}',
    "lone-surrogate": rb'{"a":"\ud800"}',
    "unicode": '{"ключ":"😀\u2028\u0085"}'.encode(),
    "braces-in-strings": rb'{"a":"}]{[,:\"}","b":"\\"}',
    "nested-names": b'{"server":"x","tool":"y","parameters":{"parameters":{}}}',
    "deep": b'{"a":' + b"[" * 400 + b"]" * 400 + b"}",
    "empty-object": b"{}",
    "spaced-empty-object": b"{ \n }",
}


@pytest.fixture(scope="module")
def pair(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory = tmp_path_factory.mktemp("invoke")
    with running(
        loop_thread,
        directory,
        lambda url: [server("o", url, tools=TOOLS), server(LONG, url)],
        {},
    ) as both:
        yield both


@pytest.fixture
def origin(pair: Pair) -> Origin:
    pair.origin.forget(echo)
    return pair.origin


@pytest.fixture
def sidecar(pair: Pair, origin: Origin) -> Sidecar:
    del origin
    return pair.sidecar


@pytest.mark.parametrize("parameters", AS_SENT.values(), ids=AS_SENT.keys())
def test_parameters_arrive_byte_for_byte(
    sidecar: Sidecar, origin: Origin, parameters: bytes
) -> None:
    answer = sidecar.ask(invoke(asking(parameters)))

    assert (answer.status, [bytes(call.body) for call in origin.calls]) == (200, [parameters])


@pytest.mark.parametrize("parameters", AS_SENT.values(), ids=AS_SENT.keys())
def test_parameters_arrive_byte_for_byte_however_they_come(
    sidecar: Sidecar, origin: Origin, parameters: bytes
) -> None:
    body = b' {"parameters" :\n ' + parameters + b' \t, "tool":"call"\r\n,"server":"o" } \n'
    octets = [bytes([octet]) for octet in body]

    answer = sidecar.ask(post_chunked(INVOKE, JSON, body=chunked(*octets)))

    assert (answer.status, [bytes(call.body) for call in origin.calls]) == (200, [parameters])


@pytest.mark.parametrize(
    "body",
    [
        b'{"server":"o","tool":"call"}',
        b'{"server":"o","tool":"call","parameters":{}}',
        b'{"server":"o","tool":"call","parameters":null}',
    ],
    ids=["missing", "empty", "null"],
)
def test_no_parameters_are_an_empty_object(sidecar: Sidecar, origin: Origin, body: bytes) -> None:
    sidecar.ask(invoke(body))

    assert [bytes(call.body) for call in origin.calls] == [b"{}"]


@pytest.mark.parametrize(
    "body",
    [
        rb'{"s\u0065rver":"\u006f","t\u006fol":"c\u0061ll","par\u0061meters":{}}',
        b'{"tool":"call","extra":[{"parameters":1}],"parameters":{},"server":"o"}',
    ],
    ids=["escaped-names", "more-members"],
)
def test_names_are_read_as_json_has_them(sidecar: Sidecar, origin: Origin, body: bytes) -> None:
    answer = sidecar.ask(invoke(body))

    assert (answer.status, [call.target for call in origin.calls]) == (200, [b"/tools/call"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"server":"o"}',
        b'{"tool":"call"}',
        b'{"server":1,"tool":"call"}',
        b'{"server":"o","tool":null}',
        b'{"server":"o","tool":["call"],"parameters":{}}',
        b'{"server":"o","tool":"call","parameters":{}',
        b'{"server":"o","tool":"call","parameters":{}}{}',
        b'{"server":"o","tool":"call","parameters":{}}x',
        b'{"server":"o","tool":"call","parameters":{"a":01}}',
        b'{"server":"o","tool":"call","parameters":{"a":NaN}}',
        b"{'server':'o','tool':'call'}",
        b'{"server":"o","tool":"call","parameters":{"a":"\n"}}',
        b'{"server":"o","tool":"call","parameters":{"a":"\xff"}}',
        b'{"server":"o","tool":"call","parameters":,}',
        b'{"server":"o","tool":"call","parameters":[1]}',
        b'{"server":"o","tool":"call","parameters":"text"}',
        b'{"server":"o","tool":"call","parameters":1E400}',
        b'{"server":"o","server":"o","tool":"call"}',
        b'{"server":"o","tool":"call","parameters":{},"parameters":{"a":1}}',
        b'\xef\xbb\xbf{"server":"o","tool":"call"}',
        '{"server":"o","tool":"call"}'.encode("utf-16"),
        b'{"a":' + b"[" * 100_000,
        b'{"server":"o","tool":"call","parameters":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=repr,
)
def test_what_is_no_invocation_is_refused(sidecar: Sidecar, origin: Origin, body: bytes) -> None:
    answer = sidecar.ask(invoke(body))

    assert (answer.status, problem_of(answer)["code"], origin.calls) == (400, "bad_request", [])


@pytest.mark.parametrize("parameters", [b'{"a":"server"}', b"{ }"], ids=repr)
def test_other_members_may_look_like_the_parameters(
    sidecar: Sidecar, origin: Origin, parameters: bytes
) -> None:
    sidecar.ask(invoke(b'{"x":[%b],' % parameters + asking(parameters)[1:]))

    assert [bytes(call.body) for call in origin.calls] == [parameters]


def test_refusal_leaves_the_connection_open(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(invoke(b"[]") + invoke(asking(b"{}")))

        assert [caller.answer().status, caller.answer().status] == [400, 200]


@pytest.mark.parametrize(
    ("server_name", "tool"),
    [
        (b"o", b"b.c"),
        (b"o", b"-._"),
        (b"o", b"t" * 128),
        (b"A-_9" + b"n" * 60, b"call"),
    ],
    ids=["dotted", "punctuation", "longest-tool", "longest-server"],
)
def test_every_name_that_tools_has_can_be_invoked(
    sidecar: Sidecar, origin: Origin, server_name: bytes, tool: bytes
) -> None:
    sidecar.ask(invoke(asking(b"{}", tool, server_name)))

    assert [call.target for call in origin.calls] == [b"/tools/" + tool]


@pytest.mark.parametrize(
    ("server_name", "tool"),
    [
        (b"o", b"call/../x"),
        (b"o", b"call?x=1"),
        (b"o", b"call#x"),
        (b"o", b"call x"),
        (b"o", rb"call\r\nX: y"),
        (b"o", rb"call\u0000"),
        (b"o", "céll".encode()),
        (b"o", b"%63all"),
        (b"o", b""),
        (b"", b"call"),
        (b"o.b", b"c"),
        (b".o", b"call"),
        (b"../o", b"call"),
        (b"o", b"t" * 129),
        (b"n" * 65, b"call"),
        (b"o", rb"\ud800"),
    ],
    ids=repr,
)
def test_names_of_nothing_are_not_found(
    sidecar: Sidecar, origin: Origin, server_name: bytes, tool: bytes
) -> None:
    answer = sidecar.ask(invoke(asking(b"{}", tool, server_name)))

    assert (answer.status in {400, 404}, origin.calls) == (True, []), answer
    problem_of(answer)


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (b"Content-Type: text/plain",),
        (b"Content-Type: application/x-www-form-urlencoded",),
        (b"Content-Type: application/jsonx",),
        (b"Content-Type: multipart/form-data; boundary=application/json",),
        (JSON, b"Content-Type: text/plain"),
        (JSON, b"Content-Encoding: gzip"),
        (b"Content-Type: application/json; charset=utf-16",),
    ],
    ids=["none", "text", "form", "jsonx", "multipart", "two", "gzip", "utf-16"],
)
def test_what_is_not_plain_json_is_no_invocation(
    sidecar: Sidecar, origin: Origin, fields: tuple[bytes, ...]
) -> None:
    answer = sidecar.ask(post(INVOKE, *fields, body=asking(b"{}")))

    assert (answer.status, origin.calls) == (415, []), answer
    assert problem_of(answer)["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    "kind",
    [
        b"application/json; charset=utf-8",
        b"Application/JSON",
        b'application/json;charset="UTF-8"',
        b"application/json ;charset=utf-8",
    ],
)
def test_every_spelling_of_json_is_taken(sidecar: Sidecar, kind: bytes) -> None:
    answer = sidecar.ask(post(INVOKE, b"Content-Type: " + kind, body=asking(b"{}")))

    assert answer.status == 200


def test_identity_is_no_encoding(sidecar: Sidecar) -> None:
    assert sidecar.ask(invoke(asking(b"{}"), b"Content-Encoding: identity")).status in {200, 415}


def test_length_and_coding_are_those_of_the_parameters(sidecar: Sidecar, origin: Origin) -> None:
    with sidecar.caller() as caller:
        caller.send(post_chunked(INVOKE, JSON, body=chunked(asking(b"{ }"))))
        caller.send(invoke(asking(b"{ }"), b"Content-MD5: x", b"Digest: y", b"Content-Digest: z"))

        assert [caller.answer().status, caller.answer().status] == [200, 200]
    framing = [(call.value("content-length"), bytes(call.body)) for call in origin.calls]
    assert framing == [("3", b"{ }")] * 2
    assert not any(call.value("transfer-encoding") for call in origin.calls)
