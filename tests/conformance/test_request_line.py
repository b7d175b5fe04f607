"""The first line of a request: RFC 9112, 2.2 and 3; checklist 1 to 7 and 9 to 12."""

import pytest

from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar
from tests.support.tables import on_every_path, refusals, refused_with, rows

HEAD = b"\r\nHost: a\r\nContent-Length: 0\r\n\r\n"

MALFORMED = {
    "2-bare-cr-before-version": b"<>\r HTTP/1.1" + HEAD,
    "2-bare-cr-ends-line": b"<> HTTP/1.1\rHost: a\r\nContent-Length: 0\r\n\r\n",
    "2-bare-cr-in-target": b"<>?a\rb HTTP/1.1" + HEAD,
    "3-bare-lf-ends-line": b"<> HTTP/1.1\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "3-bare-lf-before-line": b"\n<> HTTP/1.1" + HEAD,
    "3-lf-cr-ends-line": b"<> HTTP/1.1\n\rHost: a\r\nContent-Length: 0\r\n\r\n",
    "4-space-before-first-field": b"<> HTTP/1.1\r\n Host: a\r\nContent-Length: 0\r\n\r\n",
    "4-tab-before-first-field": b"<> HTTP/1.1\r\n\tX: 1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "7-space-before-method": b" <> HTTP/1.1" + HEAD,
    "7-tab-before-method": b"\t<> HTTP/1.1" + HEAD,
    "7-two-spaces-before-version": b"<>  HTTP/1.1" + HEAD,
    "7-tab-before-version": b"<>\tHTTP/1.1" + HEAD,
    "7-vertical-tab-before-version": b"<>\x0bHTTP/1.1" + HEAD,
    "7-space-after-version": b"<> HTTP/1.1 " + HEAD,
    "7-space-in-target": b"<> b HTTP/1.1" + HEAD,
    "12-no-version": b"<>\r\n\r\n",
    "12-lower-case-name": b"<> http/1.1" + HEAD,
    "12-no-minor-version": b"<> HTTP/1" + HEAD,
    "12-two-digit-minor-version": b"<> HTTP/1.10" + HEAD,
    "12-comma-in-version": b"<> HTTP/1,1" + HEAD,
    "12-other-protocol": b"<> SIP/1.1" + HEAD,
    "15-nul-in-target": b"<>\x00 HTTP/1.1" + HEAD,
    "15-control-in-target": b"<>\x1f HTTP/1.1" + HEAD,
    "15-delete-in-target": b"<>\x7f HTTP/1.1" + HEAD,
    "fragment-in-target": b"<>#fragment HTTP/1.1" + HEAD,
    "fragment-after-query": b"<>?a=1#fragment HTTP/1.1" + HEAD,
}

OTHER_VERSIONS = {
    "12-minor-1.2": b"<> HTTP/1.2" + HEAD,
    "12-minor-1.9": b"<> HTTP/1.9" + HEAD,
    "12-major-2": b"<> HTTP/2.0" + HEAD,
    "12-major-3": b"<> HTTP/3.0" + HEAD,
    "12-major-9": b"<> HTTP/9.9" + HEAD,
}


@on_every_path
@rows(MALFORMED)
def test_malformed_line_is_refused(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row, start)

    assert (came, origin.calls) == (refused_with(400), [])


@on_every_path
@rows(OTHER_VERSIONS)
def test_only_1_0_and_1_1_are_spoken(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row, start)

    assert (came, origin.calls) == (refused_with(505), [])


@pytest.mark.parametrize("blank_lines", [1, 2, 5])
@on_every_path
def test_1_empty_lines_before_the_line_are_skipped(
    sidecar: Sidecar, start: bytes, blank_lines: int
) -> None:
    request = b"\r\n" * blank_lines + start + b" HTTP/1.1" + HEAD

    assert sidecar.ask(request).status == 200


@on_every_path
def test_1_empty_line_between_pipelined_requests_is_skipped(sidecar: Sidecar, start: bytes) -> None:
    request = post("/tools/o.call") + b"\r\n" + start + b" HTTP/1.1" + HEAD

    with sidecar.caller() as caller:
        caller.send(request)

        assert [caller.answer().status, caller.answer().status] == [200, 200]


@on_every_path
def test_5_line_of_8000_octets_is_supported(sidecar: Sidecar, start: bytes) -> None:
    line = start + b"?" + b"q" * (8000 - len(start) - len(b"? HTTP/1.1\r\n")) + b" HTTP/1.1"

    assert sidecar.ask(line + HEAD).status == 200


@on_every_path
@pytest.mark.parametrize("end", [b" HTTP/1.1" + HEAD, b""], ids=["ended", "endless"])
def test_5_line_over_8_kib_is_too_long(
    sidecar: Sidecar, origin: Origin, start: bytes, end: bytes
) -> None:
    came = refusals(sidecar, b"<>?" + b"q" * 8200 + end, start)

    assert (came, origin.calls) == (refused_with(414), [])


@pytest.mark.parametrize(
    "method", ["BREW", "post", "Get", "POSTS", "X" * 64], ids=lambda method: f"6-{method[:8]}"
)
@pytest.mark.parametrize("path", ["/tools/o.call", "/servers/o/any", "/health"])
def test_6_unknown_method_is_not_implemented(
    sidecar: Sidecar, origin: Origin, method: str, path: str
) -> None:
    request = message(f"{method} {path} HTTP/1.1".encode(), b"Host: a", b"Content-Length: 0")

    answer = sidecar.ask(request)

    assert (answer.status, answer.json()["code"], origin.calls) == (501, "not_implemented", [])


@pytest.mark.parametrize("byte", [b"(", b"@", b"{", b"\x00", b"\x80", b'"'])
def test_6_method_that_is_no_token_is_refused(
    sidecar: Sidecar, origin: Origin, byte: bytes
) -> None:
    came = refusals(sidecar, b"PO%bST /tools/o.call HTTP/1.1" % byte + HEAD, b"")

    assert (came in (refused_with(400), refused_with(501)), origin.calls) == (True, [])


def test_12_version_0_9_by_name_is_refused(sidecar: Sidecar, origin: Origin) -> None:
    came = refusals(sidecar, b"POST /tools/o.call HTTP/0.9" + HEAD, b"")

    assert (came in (refused_with(400), refused_with(505)), origin.calls) == (True, [])


@pytest.mark.parametrize("host", [b"a", b"A", b"a:8080"], ids=["same", "other-case", "with-port"])
def test_9_absolute_form_is_served_as_origin_form(
    sidecar: Sidecar, origin: Origin, host: bytes
) -> None:
    line = b"POST http://%b/tools/o.call?q=1 HTTP/1.1" % host.lower()

    answer = sidecar.ask(message(line, b"Host: " + host, b"Content-Length: 2", body=b"{}"))

    call = origin.calls[0]
    expected = (200, b"/tools/call?q=1", f"127.0.0.1:{origin.port}")
    assert (answer.status, call.target, call.value("host")) == expected


def test_9_absolute_form_reaches_control_too(sidecar: Sidecar) -> None:
    answer = sidecar.ask(message(b"GET http://a/health HTTP/1.1", b"Host: a"))

    assert answer.status == 200


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        pytest.param(b"b", b"a", id="other-name"),
        pytest.param(b"a:81", b"a", id="other-port"),
        pytest.param(b"user@a", b"a", id="user-in-authority"),
        pytest.param(b"", b"a", id="no-authority"),
    ],
)
@pytest.mark.parametrize("path", [b"/tools/o.call", b"/health"], ids=["tools", "control"])
def test_9_absolute_form_that_disagrees_with_host_is_refused(
    sidecar: Sidecar, origin: Origin, authority: bytes, host: bytes, path: bytes
) -> None:
    line = b"POST http://%b%b HTTP/1.1" % (authority, path)

    came = refusals(sidecar, message(line, b"Host: " + host, b"Content-Length: 0"), b"")

    assert (came, origin.calls) == (refused_with(400), [])


@pytest.mark.parametrize("method", [b"GET", b"POST", b"HEAD"])
def test_10_asterisk_is_for_options_only(sidecar: Sidecar, origin: Origin, method: bytes) -> None:
    with sidecar.caller() as caller:
        caller.send(message(b"%b * HTTP/1.1" % method, b"Host: a", b"Content-Length: 0"))

        assert (caller.one_answer(method.decode()).status, origin.calls) == (400, [])


def test_10_options_asterisk_is_answered_here(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(message(b"OPTIONS * HTTP/1.1", b"Host: a", b"Content-Length: 0"))

    assert (answer.status in {200, 204}, origin.calls) == (True, [])


@pytest.mark.parametrize("target", [b"a:80", b"tools/o.call", b"?q", b"o.call"])
def test_11_target_of_no_form_is_refused(sidecar: Sidecar, origin: Origin, target: bytes) -> None:
    came = refusals(sidecar, message(b"GET %b HTTP/1.1" % target, b"Host: a"), b"")

    assert (came, origin.calls) == (refused_with(400), [])


def test_query_goes_on_byte_for_byte(sidecar: Sidecar, origin: Origin) -> None:
    query = "?a=%2F..&b=+%20&&c=/../&d=%zz;e"

    answer = sidecar.ask(get(f"/servers/o/any{query}"))

    assert (answer.status, origin.calls[0].target) == (200, f"/any{query}".encode())
