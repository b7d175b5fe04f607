"""Facts about rewriting requests: what goes on, what is ours, and what never leaves."""

import pytest

from proxy.wire.forwarding import (
    Caller,
    Onward,
    addressed,
    as_json,
    client_address,
    framing_fields,
    request_head,
)
from proxy.wire.head import CHUNKED
from proxy.wire.trace import Trace
from tests.support.heads import parts_of, read_request
from tests.support.messages import message

TRACE = Trace(
    b"flow", b"request", id_lines=b"X-Request-Id: request\r\n", context_lines=b"tp: 1\r\n"
)
VIA = b"1.1 toolproxy-1"
CALLER = Caller(b"10.0.0.7", b"http", VIA, trusted=False)
TRUSTED = Caller(b"10.0.0.7", b"http", VIA, trusted=True)
NOBODY: frozenset[bytes] = frozenset()
ONWARD = Onward(b"POST", b"/base/x?q", b"Host: origin:81\r\n", NOBODY, NOBODY)


def onward_lines(
    *fields: bytes,
    onward: Onward = ONWARD,
    caller: Caller = CALLER,
    line: bytes = b"POST /x HTTP/1.1",
) -> list[bytes]:
    """The lines that leave for a request with these fields."""
    head = read_request(message(line, b"Host: front", *fields))
    octets = request_head(head, onward, caller, TRACE)
    assert octets.endswith(b"\r\n")
    return octets[:-2].split(b"\r\n")


OURS = [
    b"Host: origin:81",
    b"Via: 1.1 toolproxy-1",
    b"X-Forwarded-For: 10.0.0.7",
    b"X-Forwarded-Proto: http",
    b"X-Forwarded-Host: front",
    b"tp: 1",
    b"X-Request-Id: request",
]


def test_request_goes_on_with_our_fields_behind_its_own() -> None:
    assert onward_lines(b"Accept: */*", b"A: 1", b"Content-type: a/b", b"A: 2") == [
        b"POST /base/x?q HTTP/1.1",
        b"Accept: */*",
        b"A: 1",
        b"Content-type: a/b",
        b"A: 2",
        *OURS,
    ]


def test_request_without_fields_of_its_own_has_no_empty_line() -> None:
    assert onward_lines() == [b"POST /base/x?q HTTP/1.1", *OURS]


def test_http_1_0_goes_on_as_1_1() -> None:
    assert onward_lines(line=b"POST /x HTTP/1.0")[0] == b"POST /base/x?q HTTP/1.1"


def test_fields_that_end_here_do_not_go_on() -> None:
    lines = onward_lines(
        b"Connection: x-a, close",
        b"X-A: 1",
        b"Keep-Alive: timeout=1",
        b"TE: trailers",
        b"Upgrade: h2c",
        b"HTTP2-Settings: x",
        b"Proxy-Connection: close",
        b"Proxy-Authorization: x",
        b"Expect: 100-continue",
        b"Request-Timeout: 3",
        b"Authorization: x",
        b"Cookie: x",
        b"X-API-Key: x",
        b"X_Y: x",
        b"Forwarded: for=1",
        b"X-Forwarded-For: 1",
        b"X-Forwarded-Port: 1",
    )

    assert lines[1:] == OURS


def test_credentials_go_where_the_server_says_so() -> None:
    onward = ONWARD._replace(forwarded_credentials=frozenset({b"cookie"}))

    lines = onward_lines(b"Authorization: x", b"Cookie: y", b"Cookie: z", onward=onward)

    assert lines[1:] == [b"cookie: y; z", *OURS]


@pytest.mark.parametrize(
    "name", [b"origin", b"access-control-request-method", b"access-control-request-headers"]
)
def test_what_a_page_says_of_itself_goes_on(name: bytes) -> None:
    assert onward_lines(name.title() + b": Some,Thing")[1:] == [name + b": Some,Thing", *OURS]


def test_injected_field_replaces_the_callers() -> None:
    injected = b"authorization: ours\r\nx-key: ours\r\n"
    onward = ONWARD._replace(
        forwarded_credentials=frozenset({b"authorization"}),
        injected_names=frozenset({b"authorization", b"x-key"}),
        lines=ONWARD.lines + injected,
    )

    lines = onward_lines(b"Authorization: x", b"X-Key: y", b"X-Z: z", onward=onward)

    assert lines[1:] == [b"X-Z: z", OURS[0], b"authorization: ours", b"x-key: ours", *OURS[1:]]


@pytest.mark.parametrize(
    "name", [b"origin", b"access-control-request-method", b"access-control-request-headers"]
)
def test_injected_field_replaces_what_a_page_says_of_itself(name: bytes) -> None:
    onward = ONWARD._replace(injected_names=frozenset({name}))

    assert onward_lines(name + b": theirs", onward=onward)[1:] == OURS


def test_via_is_added_to() -> None:
    lines = onward_lines(b"Via: 1.0 a", b"X: x", b"Via: 1.1 b")

    vias = [line for line in lines if line.startswith(b"Via:")]
    assert vias == [b"Via: 1.0 a, 1.1 b", b"Via: 1.1 toolproxy-1"]


def test_nominating_what_we_add_does_not_remove_it() -> None:
    lines = onward_lines(b"Connection: via, traceparent, x-forwarded-for, host, x-request-id")

    assert lines[1:] == OURS


def test_context_and_ids_go_along() -> None:
    head = read_request(message(b"GET / HTTP/1.1", b"Host: a"))
    trace = Trace(b"", b"", id_lines=b"I: 1\r\nJ: 2\r\n", context_lines=b"C: 3\r\nD: 4\r\n")

    assert request_head(head, ONWARD, CALLER, trace).endswith(
        b"\r\nC: 3\r\nD: 4\r\nI: 1\r\nJ: 2\r\n"
    )


@pytest.mark.parametrize(
    ("line", "sent", "left"),
    [
        pytest.param(b"OPTIONS /x HTTP/1.1", b"5", b"Max-Forwards: 4", id="one-fewer"),
        pytest.param(b"OPTIONS /x HTTP/1.1", b"0", b"Max-Forwards: 0", id="never-below-nought"),
        pytest.param(
            b"OPTIONS /x HTTP/1.1", b"9" * 40, b"Max-Forwards: 999999998", id="absurdly-many"
        ),
        pytest.param(b"OPTIONS /x HTTP/1.1", b"x", None, id="no-number"),
        pytest.param(b"POST /x HTTP/1.1", b"5", None, id="other-method"),
    ],
)
def test_hops_are_counted_down(line: bytes, sent: bytes, left: bytes | None) -> None:
    lines = onward_lines(b"Max-Forwards: " + sent, line=line)

    assert [each for each in lines if each.startswith(b"Max-")] == ([left] if left else [])


def forwarded(*fields: bytes, caller: Caller = TRUSTED) -> list[bytes]:
    lines = onward_lines(*fields, caller=caller)
    return [line for line in lines if line.startswith((b"X-Forwarded", b"x-forwarded", b"Forw"))]


def test_trusted_proxys_word_is_added_to() -> None:
    assert forwarded(
        b"X-Forwarded-For: 1.2.3.4", b"X-Forwarded-Proto: https", b"X-Forwarded-Host: front.example"
    ) == [
        b"X-Forwarded-For: 1.2.3.4, 10.0.0.7",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: front.example",
    ]


def test_trusted_proxy_that_says_nothing_is_the_caller() -> None:
    assert forwarded() == OURS[2:5]


def test_trusted_proxys_via_is_added_to() -> None:
    vias = [line for line in onward_lines(b"Via: 1.0 a", caller=TRUSTED) if b"Via" in line]

    assert vias == [b"Via: 1.0 a", b"Via: 1.1 toolproxy-1"]


def test_trusted_proxys_other_fields_go_on() -> None:
    assert b"x-forwarded-port: 444" in forwarded(b"X-Forwarded-Port: 444")


@pytest.mark.parametrize(
    ("address", "node"),
    [
        pytest.param(b"10.0.0.7", b"10.0.0.7", id="ipv4"),
        pytest.param(b"2001:db8::1", b'"[2001:db8::1]"', id="ipv6"),
    ],
)
def test_forwarded_gets_a_member_of_ours(address: bytes, node: bytes) -> None:
    caller = Caller(address, b"http", VIA, trusted=True)

    lines = forwarded(b"Forwarded: for=a", caller=caller)

    assert lines[-1] == b"Forwarded: for=a, for=" + node + b";proto=http"


@pytest.mark.parametrize(
    ("method", "body_bytes", "fields"),
    [
        pytest.param(b"GET", 0, b"\r\n", id="no-body"),
        pytest.param(b"GET", 2, b"Content-Length: 2\r\n\r\n", id="body-all-the-same"),
        pytest.param(b"POST", 0, b"Content-Length: 0\r\n\r\n", id="empty-post"),
        pytest.param(b"PUT", 0, b"Content-Length: 0\r\n\r\n", id="empty-put"),
        pytest.param(b"PATCH", 0, b"Content-Length: 0\r\n\r\n", id="empty-patch"),
        pytest.param(b"POST", CHUNKED, b"Transfer-Encoding: chunked\r\n\r\n", id="chunked"),
    ],
)
def test_request_is_framed_in_one_way(method: bytes, body_bytes: int, fields: bytes) -> None:
    assert framing_fields(method, body_bytes) == fields


# --- a body that the caller did not send ---

POST = (
    b"POST /x HTTP/1.0\r\nHost: a\r\nAccept: */*\r\nContent-type: text/plain\r\n"
    b"Authorization: b\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
)


def test_json_in_place_of_an_empty_body_changes_type_and_length_alone() -> None:
    head = read_request(POST)

    changed = as_json(head, 2)

    lines = b"\r\nAccept: */*\r\nContent-Type: application/json"
    assert parts_of(changed) == {**parts_of(head), "lines": lines, "body_bytes": 2}


def test_head_that_json_was_made_for_stays_as_it_was() -> None:
    head = read_request(POST)

    as_json(head, 2)

    assert (head.lines, head.body_bytes) == (b"\r\nAccept: */*\r\nContent-type: text/plain", 0)


def test_head_that_comes_again_goes_on_as_before_and_elsewhere_as_new() -> None:
    head = read_request(message(b"POST /x HTTP/1.1", b"Host: front"))
    here = ONWARD._replace(way=object())
    elsewhere = ONWARD._replace(target=b"/elsewhere", way=object())

    first, again, other = (
        request_head(head, onward, CALLER, TRACE) for onward in (here, here, elsewhere)
    )

    assert (first == again, other == first, other.startswith(b"POST /elsewhere ")) == (
        True,
        False,
        True,
    )


def test_head_that_comes_again_goes_to_another_endpoint_by_its_host() -> None:
    head = read_request(message(b"POST /x HTTP/1.1", b"Host: front", b"Accept: */*"))
    here = ONWARD._replace(way=object())
    there = here._replace(lines=b"Host: other\r\n")

    first, again = (request_head(head, onward, CALLER, TRACE) for onward in (here, there))

    assert again == first.replace(b"Host: origin:81", b"Host: other")


def test_head_that_comes_again_from_a_trusted_caller_says_so() -> None:
    head = read_request(message(b"POST /x HTTP/1.1", b"Host: front", b"X-Forwarded-For: 9.9.9.9"))

    plain, trusted = (request_head(head, ONWARD, each, TRACE) for each in (CALLER, TRUSTED))

    assert (b"9.9.9.9" in plain, b"9.9.9.9" in trusted) == (False, True)


@pytest.mark.parametrize(
    ("fields", "caller", "address"),
    [
        ((), CALLER, b"10.0.0.7"),
        ((b"X-Forwarded-For: 1.1.1.1",), CALLER, b"10.0.0.7"),
        ((), TRUSTED, b"10.0.0.7"),
        ((b"X-Forwarded-For: ",), TRUSTED, b"10.0.0.7"),
        ((b"X-Forwarded-For: 1.1.1.1",), TRUSTED, b"1.1.1.1"),
        ((b"X-Forwarded-For: 6.6.6.6, 1.1.1.1",), TRUSTED, b"1.1.1.1"),
    ],
)
def test_who_calls_is_the_peer_or_whom_a_trusted_one_names(
    fields: tuple[bytes, ...], caller: Caller, address: bytes
) -> None:
    head = read_request(message(b"POST /x HTTP/1.1", b"Host: front", *fields))

    assert client_address(head, caller) == address


def test_request_for_something_else_is_the_same_but_for_its_target() -> None:
    head = read_request(message(b"POST /x HTTP/1.1", b"Host: front", b"A: 1", b"Content-Length: 2"))

    other = addressed(head, b"/y")

    assert (other.target, head.target) == (b"/y", b"/x")
    assert (other.lines, other.noted, other.body_bytes) == (head.lines, head.noted, 2)


def test_operator_may_say_what_we_say_otherwise() -> None:
    own = Onward(
        b"POST",
        b"/x",
        b"Host: o\r\nX-Forwarded-For: me\r\n",
        NOBODY,
        frozenset({b"x-forwarded-for", b"x-forwarded-port", b"via"}),
        overrides=True,
    )
    fields = (b"X-Forwarded-Port: 81", b"X-Forwarded-Proto: https")

    assert onward_lines(*fields, onward=own, caller=TRUSTED) == [
        b"POST /x HTTP/1.1",
        b"Host: o",
        b"X-Forwarded-For: me",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Host: front",
        b"tp: 1",
        b"X-Request-Id: request",
    ]
    assert b"X-Forwarded-For: 10.0.0.7" not in onward_lines(*fields, onward=own)
