"""What a proxy may not pass on, and what it must add: RFC 9110, 7.6; checklist 34 to 45."""

import re
from email.utils import parsedate_to_datetime

import pytest

from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar

CALL = post("/tools/o.call")
VIA = re.compile(r"1\.1 toolproxy-[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
HOP_BY_HOP = {
    "proxy-connection": b"Proxy-Connection: keep-alive",
    "keep-alive": b"Keep-Alive: timeout=5",
    "te": b"TE: trailers, deflate",
    "upgrade": b"Upgrade: h2c",
    "proxy-authorization": b"Proxy-Authorization: Basic c2VjcmV0",
    "proxy-authenticate": b"Proxy-Authenticate: Basic",
    "proxy-other": b"Proxy-Other: 1",
}


def test_34_nominated_fields_and_the_nomination_are_removed(
    sidecar: Sidecar, origin: Origin
) -> None:
    fields = (b"Connection: x-one, X-TWO", b"X-One: 1", b"X-Two: 2", b"X-Three: 3")

    sidecar.ask(post("/tools/o.call", *fields))

    call = origin.calls[0]
    found = [call.values(name) for name in ("x-one", "x-two", "x-three")]
    assert (found, "x-" in ",".join(call.values("connection"))) == ([[], [], ["3"]], False)


def test_34_nominations_in_several_fields_all_count(sidecar: Sidecar, origin: Origin) -> None:
    fields = (b"Connection: x-one", b"connection: ,x-two ,", b"X-One: 1", b"X-Two: 2")

    sidecar.ask(post("/tools/o.call", *fields))

    call = origin.calls[0]
    assert (call.values("x-one"), call.values("x-two")) == ([], [])


def test_34_nominated_fields_of_an_answer_are_removed(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"ok", b"Connection: x-one, keep-alive", b"X-One: 1", b"X-Two: 2"))

    answer = sidecar.ask(CALL)

    assert (answer.values("x-one"), answer.values("x-two")) == ([], ["2"])


@pytest.mark.parametrize("field", HOP_BY_HOP.values(), ids=HOP_BY_HOP.keys())
def test_35_hop_by_hop_field_of_a_request_stays_here(
    sidecar: Sidecar, origin: Origin, field: bytes
) -> None:
    sidecar.ask(post("/tools/o.call", field))

    name = field.split(b":")[0].decode()
    assert [v for v in origin.calls[0].values(name) if v != "trailers"] == []


@pytest.mark.parametrize(
    "field",
    [b"Proxy-Connection: keep-alive", b"Keep-Alive: timeout=5", b"TE: trailers", b"Upgrade: h2c"],
)
def test_35_hop_by_hop_field_of_an_answer_stays_here(
    sidecar: Sidecar, origin: Origin, field: bytes
) -> None:
    origin.script = answers(ok(b"ok", field))

    answer = sidecar.ask(CALL)

    name, value = field.decode().split(": ")
    assert value not in answer.values(name)


@pytest.mark.parametrize(
    "name",
    [
        "host",
        "content-length",
        "content-type",
        "traceparent",
        "via",
        "x-request-id",
        "x-chora-trace-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
    ],
)
def test_36_nomination_never_removes_what_is_ours(
    sidecar: Sidecar, origin: Origin, name: str
) -> None:
    fields = (b"Connection: close, " + name.encode(), b"Content-Type: application/json")

    answer = sidecar.ask(post("/tools/o.call", *fields, body=b'{"a":1}'))

    call = origin.calls[0]
    # Content-Type is the caller's: it may go with the nomination, the body may not.
    kept = [] if name == "content-type" else call.values(name)
    assert (answer.json()["body"], bool(kept) or name == "content-type") == ('{"a":1}', True)


def test_36_nominated_value_of_the_caller_does_not_survive_in_ours(
    sidecar: Sidecar, origin: Origin
) -> None:
    spoof = (b"Connection: x-request-id", b"X-Request-Id: spoofed")

    sidecar.ask(post("/tools/o.call", *spoof))

    assert origin.calls[0].value("x-request-id") not in {None, "spoofed"}


def test_37_via_is_added_to_the_request(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(CALL)

    assert VIA.fullmatch(origin.calls[0].value("via") or "")


def test_37_via_is_added_after_what_was_there(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call", b"Via: 1.0 fred, 1.1 p.example"))

    via = ", ".join(origin.calls[0].values("via")).split(", ")
    assert (via[:2], bool(VIA.fullmatch(via[2]))) == (["1.0 fred", "1.1 p.example"], True)


def test_37_via_is_added_to_the_answer(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"ok", b"Via: 1.1 inner"))

    via = ", ".join(sidecar.ask(CALL).values("via")).split(", ")

    assert (via[0], bool(VIA.fullmatch(via[1]))) == ("1.1 inner", True)


def test_38_last_forward_of_options_is_answered_here(sidecar: Sidecar, origin: Origin) -> None:
    line = b"OPTIONS /servers/o/any HTTP/1.1"

    answer = sidecar.ask(message(line, b"Host: a", b"Max-Forwards: 0", b"Content-Length: 0"))

    assert (answer.status // 100, origin.calls) == (2, [])


def test_38_forwards_left_are_counted_down(sidecar: Sidecar, origin: Origin) -> None:
    line = b"OPTIONS /servers/o/any HTTP/1.1"

    sidecar.ask(message(line, b"Host: a", b"Max-Forwards: 5", b"Content-Length: 0"))

    assert origin.calls[0].value("max-forwards") == "4"


def test_38_other_methods_do_not_count_forwards(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(get("/servers/o/any", b"Max-Forwards: 0"))

    assert (answer.status, len(origin.calls)) == (200, 1)


def test_39_nothing_is_transformed(sidecar: Sidecar, origin: Origin) -> None:
    octets = bytes(range(256)) * 4
    origin.script = answers(
        ok(octets, b"Content-Encoding: gzip", b"Cache-Control: no-transform", b'ETag: "x"')
    )

    answer = sidecar.ask(post("/tools/o.call", b"Accept-Encoding: br", body=octets))

    names = ("content-encoding", "cache-control", "etag")
    found = (answer.body, bytes(origin.calls[0].body), [answer.value(name) for name in names])
    assert found == (octets, octets, ["gzip", "no-transform", '"x"'])


def test_39_accept_encoding_is_not_touched(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call", b"Accept-Encoding: br;q=0.9"))

    assert origin.calls[0].value("accept-encoding") == "br;q=0.9"


def test_40_same_named_fields_keep_their_order(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call", b"X-A: 1", b"X-B: b", b"x-a: 2", b"X-A: 3"))

    assert ",".join(origin.calls[0].values("x-a")).replace(" ", "") == "1,2,3"


def test_40_cookies_are_never_joined(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"ok", b"Set-Cookie: a=1; Path=/", b"Set-Cookie: b=2, x"))

    assert sidecar.ask(CALL).values("set-cookie") == ["a=1; Path=/", "b=2, x"]


def test_40_end_to_end_fields_of_an_answer_come_unchanged(sidecar: Sidecar, origin: Origin) -> None:
    fields = [b"X-Zulu: 1", b"X-Alpha: \xe9", b"WWW-Authenticate: Basic", b"X_Under: 1"]
    origin.script = answers(message(b"HTTP/1.1 418 Teapot", *fields, b"Content-Length: 0"))

    answer = sidecar.ask(CALL)

    came = [field for field in answer.headers if b": ".join(field) in fields]
    assert (answer.status, [b": ".join(field) for field in came]) == (418, fields)


def test_41_date_is_added_when_missing(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok())

    date = sidecar.ask(CALL).value("date")

    assert parsedate_to_datetime(date or "").tzinfo


def test_41_date_of_the_upstream_is_kept(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"ok", b"Date: Tue, 15 Nov 1994 08:12:31 GMT"))

    assert sidecar.ask(CALL).value("date") == "Tue, 15 Nov 1994 08:12:31 GMT"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_42_own_version_is_sent_both_ways(sidecar: Sidecar, origin: Origin, version: bytes) -> None:
    origin.script = answers(ok().replace(b"HTTP/1.1", b"HTTP/" + version))

    answer = sidecar.ask(CALL.replace(b"HTTP/1.1", b"HTTP/" + version))

    assert (origin.calls[0].version, answer.version) == (b"HTTP/1.1", b"HTTP/1.1")


def test_42_own_version_is_sent_by_control_too(sidecar: Sidecar) -> None:
    answer = sidecar.ask(get("/health").replace(b"HTTP/1.1", b"HTTP/1.0"))

    assert (answer.status, answer.version) == (200, b"HTTP/1.1")


def test_43_keep_alive_of_a_1_0_caller_is_not_forwarded(sidecar: Sidecar, origin: Origin) -> None:
    request = post("/tools/o.call", b"Connection: keep-alive", b"Keep-Alive: 300")

    sidecar.ask(request.replace(b"HTTP/1.1", b"HTTP/1.0"))

    call = origin.calls[0]
    assert (call.values("keep-alive"), call.values("connection")) in [
        ([], []),
        ([], ["keep-alive"]),
    ]


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(CALL.replace(b"HTTP/1.1", b"HTTP/1.0"), id="1.0"),
        pytest.param(post("/tools/o.call", b"Connection: close"), id="close"),
        pytest.param(post("/tools/o.call", b"Connection: Foo, CLOSE"), id="close-in-list"),
        pytest.param(get("/health", b"Connection: close"), id="control"),
        pytest.param(get("/health").replace(b"HTTP/1.1", b"HTTP/1.0"), id="control-1.0"),
    ],
)
def test_44_close_is_said_before_closing(sidecar: Sidecar, request_bytes: bytes) -> None:
    with sidecar.caller() as caller:
        caller.send(request_bytes)
        answer = caller.answer()

        said = answer.closes or answer.version == b"HTTP/1.0"
        assert (answer.status, said, caller.rest()) == (200, True, b"")


def test_44_close_is_said_with_a_refusal(sidecar: Sidecar) -> None:
    answer = sidecar.ask(b"POST /tools/o.call HTTP/1.1\r\n\r\n")

    assert (answer.status, answer.closes) == (400, True)


def test_44_close_of_the_upstream_is_not_the_callers(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"ok", b"Connection: close"), close=True)
    with sidecar.caller() as caller:
        caller.send(CALL + CALL)

        first, second = caller.answer(), caller.answer()

    assert (first.closes, second.body) == (False, b"ok")


@pytest.mark.parametrize("host", [b"unknown.example", b"a:1", b"127.0.0.1:65535"])
def test_45_misdirected_request_is_never_said(sidecar: Sidecar, host: bytes) -> None:
    answer = sidecar.ask(CALL.replace(b"Host: a", b"Host: " + host))

    assert answer.status == 200
