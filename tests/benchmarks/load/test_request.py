"""What is called: URLs, and the bytes of the request."""

from pathlib import Path

import pytest

from benchmarks.load.request import PlanError, Request, Target, headers_of, octets_of
from tests.support.reparsing import Reparsed, requests_in

TARGET = Target.of("http://a.example/x")


def fields(request: Request) -> list[bytes]:
    head, _, _ = request.octets.partition(b"\r\n\r\n")
    return head.split(b"\r\n")[1:]


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("http://a.example", "a.example", 80, False),
        ("https://a.example/x", "a.example", 443, True),
        ("http://127.0.0.1:8080/x?y", "127.0.0.1", 8080, False),
        ("http://[::1]:8080/", "::1", 8080, False),
    ],
)
def test_url_says_where_to_connect(url: str, host: str, port: int, *, tls: bool) -> None:
    assert Target.of(url) == Target(url, host, port, tls, None)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("", id="empty"),
        pytest.param("a.example", id="no-scheme"),
        pytest.param("ftp://a.example/", id="other-scheme"),
        pytest.param("http:///x", id="no-host"),
        pytest.param("http://a:b/", id="port-in-words"),
        pytest.param("http://a:99999/", id="port-too-great"),
        pytest.param("http://[::1/", id="open-bracket"),
        pytest.param("http://a/x y", id="space"),
        pytest.param("http://a/\r\nX: y", id="line-break"),
        pytest.param("http://ä/", id="not-ascii"),
        pytest.param("http://user:secret@a/", id="user"),
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(PlanError):
        Target.of(url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a", b"/"),
        ("http://a?q", b"/?q"),
        ("http://a/x%20y?q=1&r", b"/x%20y?q=1&r"),
        ("http://a/x#part", b"/x"),
    ],
)
def test_target_is_path_and_query_as_written(url: str, target: bytes) -> None:
    request = Request.of(Target.of(url), None, [], b"")

    assert requests_in(request.octets) == [Reparsed(b"GET", target, b"")]


@pytest.mark.parametrize(
    ("method", "body", "sent"),
    [
        (None, b"", b"GET"),
        (None, b"{}", b"POST"),
        ("PUT", b"", b"PUT"),
        ("DELETE", b"{}", b"DELETE"),
    ],
)
def test_body_decides_where_no_method_is_named(
    method: str | None, body: bytes, sent: bytes
) -> None:
    request = Request.of(TARGET, method, [], body)

    assert requests_in(request.octets) == [Reparsed(sent, b"/x", body)]


@pytest.mark.parametrize("method", ["", "GE T", "GET\r\n", "CONNECT", "é"])
def test_what_is_no_method_is_refused(method: str) -> None:
    with pytest.raises(PlanError):
        Request.of(TARGET, method or " ", [], b"")


def test_own_fields_give_way_to_given_ones() -> None:
    request = Request.of(TARGET, "POST", [(b"host", b"else"), (b"user-agent", b"me")], b"")

    assert fields(request) == [b"Content-Length: 0", b"host: else", b"user-agent: me"]


@pytest.mark.parametrize(("value", "closes"), [("close", True), ("keep-alive", False)])
def test_request_knows_that_it_closes(value: str, *, closes: bool) -> None:
    headers = headers_of([f"Connection: {value}"])

    assert Request.of(TARGET, None, headers, b"").closes is closes


def test_headers_come_from_lines_and_files(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_bytes(b"X-A: 1\r\n\r\nX-B:\t2 \nX-C:\n")

    headers = headers_of(["X-First: a:b", f"@{path}"])

    assert headers == [(b"X-First", b"a:b"), (b"X-A", b"1"), (b"X-B", b"2"), (b"X-C", b"")]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("X-A", id="no-colon"),
        pytest.param(": 1", id="no-name"),
        pytest.param("X A: 1", id="space-in-name"),
        pytest.param("X-A : 1", id="space-behind-name"),
        pytest.param("X-A: 1\r\nX-B: 2", id="two-lines"),
        pytest.param("X-A: \x00", id="control"),
        pytest.param("content-length: 5", id="length"),
        pytest.param("Transfer-Encoding: chunked", id="coding"),
    ],
)
def test_what_is_no_header_is_refused(line: str) -> None:
    with pytest.raises(PlanError):
        headers_of([line])


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"--body .*absent: No such file"):
        octets_of(f"@{tmp_path / 'absent'}", "--body")
