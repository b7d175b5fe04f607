"""The fields of a request: RFC 9112, 3.2 and 5; checklist 8 and 13 to 18."""

import string

import pytest

from tests.support.messages import message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar
from tests.support.tables import on_every_path, refusals, refused_with, rows

END = b"Content-Length: 0\r\n\r\n"
LINE = b"<> HTTP/1.1\r\n"
TOKEN = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
IN_A_VALUE = frozenset(range(256)) - frozenset(range(32)) - {0x7F} | {0x09}

MALFORMED = {
    "8-no-host": LINE + END,
    "8-two-hosts": LINE + b"Host: a\r\nHost: b\r\n" + END,
    "8-two-equal-hosts": LINE + b"Host: a\r\nhost: a\r\n" + END,
    "8-list-of-hosts": LINE + b"Host: a, b\r\n" + END,
    "8-empty-host": LINE + b"Host:\r\n" + END,
    "8-space-in-host": LINE + b"Host: a b\r\n" + END,
    "8-slash-in-host": LINE + b"Host: a/b\r\n" + END,
    "8-user-in-host": LINE + b"Host: user@a\r\n" + END,
    "8-port-no-number": LINE + b"Host: a:port\r\n" + END,
    "8-open-bracket": LINE + b"Host: [::1\r\n" + END,
    "8-query-in-host": LINE + b"Host: a?b\r\n" + END,
    "8-fragment-in-host": LINE + b"Host: a#b\r\n" + END,
    "8-backslash-in-host": LINE + b"Host: a\\b\r\n" + END,
    "8-obs-text-in-host": LINE + b"Host: a\xffb\r\n" + END,
    "13-space-before-colon": LINE + b"Host: a\r\nX-A : 1\r\n" + END,
    "13-tab-before-colon": LINE + b"Host: a\r\nX-A\t: 1\r\n" + END,
    "13-space-before-colon-of-length": LINE + b"Host: a\r\nContent-Length : 0\r\n\r\n",
    "13-space-before-colon-of-host": LINE + b"Host : a\r\n" + END,
    "13-space-in-name": LINE + b"Host: a\r\nX A: 1\r\n" + END,
    "14-folded-with-space": LINE + b"Host: a\r\nX-A: 1\r\n 2\r\n" + END,
    "14-folded-with-tab": LINE + b"Host: a\r\nX-A: 1\r\n\t2\r\n" + END,
    "14-folded-to-nothing": LINE + b"Host: a\r\nX-A: 1\r\n \r\n" + END,
    "14-folded-host": LINE + b"Host:\r\n a\r\n" + END,
    "15-cr-in-value": LINE + b"Host: a\r\nX-A: 1\r2\r\n" + END,
    "15-cr-cr-lf-ends-field": LINE + b"Host: a\r\nX-A: 1\r\r\n" + END,
    "15-lf-ends-field": LINE + b"Host: a\r\nX-A: 1\nX-B: 2\r\n" + END,
    "15-lf-ends-head": LINE + b"Host: a\r\nContent-Length: 0\r\n\n",
    "15-nul-in-value": LINE + b"Host: a\r\nX-A: 1\x002\r\n" + END,
    "16-parenthesis-in-name": LINE + b"Host: a\r\nX(A): 1\r\n" + END,
    "16-obs-text-in-name": LINE + b"Host: a\r\nX\xe9: 1\r\n" + END,
    "16-nul-in-name": LINE + b"Host: a\r\nX\x00A: 1\r\n" + END,
    "18-empty-name": LINE + b"Host: a\r\n: 1\r\n" + END,
    "18-no-colon": LINE + b"Host: a\r\nX-A 1\r\n" + END,
    "18-no-colon-at-all": LINE + b"Host: a\r\nnonsense\r\n" + END,
}

TOO_LARGE = {
    "17-one-field-of-33-kib": LINE + b"Host: a\r\nX-A: " + b"v" * 33_792 + b"\r\n" + END,
    "17-one-name-of-33-kib": LINE + b"Host: a\r\n" + b"X" * 33_792 + b": 1\r\n" + END,
    "17-endless-field": LINE + b"Host: a\r\nX-A: " + b"v" * 33_792,
    "17-many-fields-of-33-kib": LINE + b"Host: a\r\n" + (b"X-A: %b\r\n" % (b"v" * 1018)) * 33 + END,
    "17-fields-129": LINE + b"Host: a\r\n" + b"X-A: 1\r\n" * 127 + END,
    "17-fields-1000": LINE + b"Host: a\r\n" + b"X-A: 1\r\n" * 1000 + END,
}


@on_every_path
@rows(MALFORMED)
def test_malformed_field_is_refused(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row, start)

    assert (came, origin.calls) == (refused_with(400), [])


@on_every_path
@rows(TOO_LARGE)
def test_head_over_the_limits_is_refused(
    sidecar: Sidecar, origin: Origin, row: bytes, start: bytes
) -> None:
    came = refusals(sidecar, row, start)

    assert (came, origin.calls) == (refused_with(431), [])


@on_every_path
def test_17_head_of_128_fields_is_served(sidecar: Sidecar, start: bytes) -> None:
    request = start + b" HTTP/1.1\r\nHost: a\r\n" + b"X-A: 1\r\n" * 126 + END

    assert sidecar.ask(request).status == 200


@on_every_path
def test_17_head_of_30_kib_is_served(sidecar: Sidecar, start: bytes) -> None:
    request = start + b" HTTP/1.1\r\nHost: a\r\nX-A: " + b"v" * 30_720 + b"\r\n" + END

    assert sidecar.ask(request).status == 200


@pytest.mark.parametrize(
    "host", ["a", "A.example", "a.example:8080", "127.0.0.1", "[::1]", "[::1]:8080", "a:"]
)
@on_every_path
def test_8_any_well_formed_host_is_served(sidecar: Sidecar, start: bytes, host: str) -> None:
    request = start + b" HTTP/1.1\r\nHost: %b\r\n" % host.encode() + END

    assert sidecar.ask(request).status == 200


@on_every_path
def test_8_http_1_0_needs_no_host(sidecar: Sidecar, start: bytes) -> None:
    assert sidecar.ask(start + b" HTTP/1.0\r\n" + END).status == 200


def test_16_every_byte_in_a_name_is_decided(sidecar: Sidecar) -> None:
    fields = {byte: b"X-%bY: 1" % bytes([byte]) for byte in range(256)}

    served = {byte for byte, field in fields.items() if _status(sidecar, field) == 200}

    # A colon ends the name early; underscores are dropped on the way, not refused.
    assert served == TOKEN | {ord(":")}


def test_15_every_byte_in_a_value_is_decided(sidecar: Sidecar) -> None:
    fields = {byte: b"X-A: 1%b2" % bytes([byte]) for byte in range(256)}

    served = {byte for byte, field in fields.items() if _status(sidecar, field) == 200}

    assert served == IN_A_VALUE


def test_15_every_byte_in_a_value_goes_on_unchanged(sidecar: Sidecar, origin: Origin) -> None:
    value = bytes(sorted(IN_A_VALUE)).strip()

    sidecar.ask(post("/tools/o.call", b"X-A: " + value))

    assert (b"x-a", value) in [(name.lower(), value) for name, value in origin.calls[0].headers]


@pytest.mark.parametrize(
    "field", [b"X-A:1", b"X-A: 1", b"X-A:\t1", b"X-A:  \t 1 \t "], ids=["none", "sp", "tab", "much"]
)
def test_white_space_around_a_value_is_not_part_of_it(
    sidecar: Sidecar, origin: Origin, field: bytes
) -> None:
    sidecar.ask(post("/tools/o.call", field))

    assert origin.calls[0].value("x-a") == "1"


def test_empty_value_goes_on(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call", b"X-A:"))

    assert origin.calls[0].value("x-a") == ""


def _status(sidecar: Sidecar, field: bytes) -> int:
    line = b"POST /tools/o.call HTTP/1.1"
    return sidecar.ask(message(line, b"Host: a", field, b"Content-Length: 0")).status
