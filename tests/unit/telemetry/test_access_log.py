"""Facts about a line of the access log: what it says of a record, and how."""

import re
from collections.abc import Callable

import orjson
import pytest

from proxy.telemetry.access_log import _combined, _json
from proxy.telemetry.record import Attempt, ExchangeRecord
from proxy.wire.forwarding import Caller
from tests.support.messages import message, post
from tests.support.records import record

Writer = Callable[[ExchangeRecord], bytes]
BOTH = pytest.mark.parametrize("writer", [_combined, _json], ids=["combined", "json"])


def made(status: int = 200, *fields: bytes) -> ExchangeRecord:
    return record(status, request=post("/tools/o.call", *fields))


def after_date(line: bytes) -> bytes:
    return line.partition(b"] ")[2]


def test_plain_call_is_nginx_s_combined() -> None:
    line = _combined(made(200, b"Referer: r", b"User-Agent: u"))

    assert re.fullmatch(
        rb"127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        rb'"POST /tools/o\.call HTTP/1\.1" 200 0 "r" "u"',
        line,
    )


@pytest.mark.parametrize("name", [b"User-Agent", b"user-agent", b"USER-AGENT"])
def test_name_of_a_field_may_be_written_in_any_case(name: bytes) -> None:
    assert after_date(_combined(made(200, name + b": me"))).endswith(b'"-" "me"')


@pytest.mark.parametrize("name", [b"X-User-Agent", b"User-Agent-X", b"My-Referer"])
def test_field_of_another_name_is_another(name: bytes) -> None:
    assert after_date(_combined(made(200, name + b": me"))).endswith(b'"-" "-"')


def test_each_octet_is_written_as_nginx_writes_it() -> None:
    for octet in {*range(256)} - {*range(9), *range(10, 32), 127}:  # which no head may have
        value = b"a%cb" % octet
        plain = 32 <= octet < 127 and octet not in b'"\\'
        wanted = value if plain else b"a\\x%02Xb" % octet

        assert after_date(_combined(made(200, b"User-Agent: " + value))).endswith(
            b'"%b"' % wanted
        ), octet


@BOTH
def test_line_has_no_end_in_it(writer: Writer) -> None:
    fields = (b"User-Agent: " + bytes({*range(128, 256)}), b"Referer: a\tb")

    line = writer(made(200, *fields))

    assert not any(each in line for each in (b"\n", b"\r"))
    assert len(line.decode().splitlines()) == 1


@BOTH
def test_caller_that_left_is_499(writer: Writer) -> None:
    assert b"499" in writer(record(0))


def test_upstreams_are_listed_in_the_order_they_were_asked() -> None:
    retried = made()
    retried.endpoint = "http://b"
    retried.failed = (Attempt("http://a", 1.0, 2.0, "upstream_closed"),)

    assert orjson.loads(_json(retried))["upstream"] == "http://a, http://b"


def test_moments_become_milliseconds() -> None:
    timed = record(duration_s=0.0123456, started_at=1.0)
    timed.sent_at, timed.answered_at = 1.001, 1.0110004

    line = orjson.loads(_json(timed))

    assert (line["duration_ms"], line["upstream_ms"]) == (12.346, 10.0)


@pytest.mark.parametrize("key", ["upstream", "upstream_ms", "response_flags", "error_code"])
def test_what_there_was_not_is_null(key: str) -> None:
    assert orjson.loads(_json(made()))[key] is None


def test_address_of_a_unix_socket_is_a_dash() -> None:
    nobody = made()
    nobody.caller = Caller(b"", b"http", b"", trusted=False)

    assert _combined(nobody).startswith(b"- - - [")


def test_version_is_the_caller_s() -> None:
    old = record(request=message(b"GET / HTTP/1.0", b"Host: a"))

    assert b'"GET / HTTP/1.0"' in _combined(old)
    assert orjson.loads(_json(old))["protocol"] == "HTTP/1.0"
