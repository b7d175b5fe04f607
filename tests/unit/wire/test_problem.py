"""Facts about problems: RFC 9457 documents with an RFC 9209 field."""

import orjson
import pytest

from proxy import errors
from proxy.errors import ProxyError
from proxy.wire.problem import Problem, problem, problem_bytes, quoted
from proxy.wire.trace import Trace
from tests.support.octets import EVERY

TRACE = Trace(b"flow-1", b"request-1", id_lines=b"", context_lines=b"")
ERROR = errors.NoHealthyEndpointError("Backend server unhealthy: o", retry_after_s=2)


def document(parts: Problem) -> object:
    return orjson.loads(parts.body)


def test_problem_says_what_happened_to_which_call() -> None:
    parts = problem(ERROR, "toolproxy-1", TRACE, "o.call.it")

    assert document(parts) == {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "Backend server unhealthy: o",
        "code": "no_healthy_endpoint",
        "namespace": "o",
        "tool": "o.call.it",
        "retryable": True,
        "trace_id": "flow-1",
        "request_id": "request-1",
    }


def test_problems_fields() -> None:
    parts = problem(ERROR, "toolproxy-1", TRACE)

    assert parts.headers == (
        ("Content-Type", "application/problem+json"),
        (
            "Proxy-Status",
            'toolproxy-1; error=destination_unavailable; details="Backend server unhealthy: o"',
        ),
        ("Retry-After", "2"),
        ("X-Request-Id", "request-1"),
        ("X-Chora-Trace-Id", "flow-1"),
    )


def test_errors_own_fields_go_along() -> None:
    error = errors.MethodNotAllowedError("Only POST", headers=(("Allow", "POST"),))

    assert ("Allow", "POST") in problem(error, "i", TRACE).headers


@pytest.mark.parametrize(
    ("called", "named"),
    [
        pytest.param("", (None, None), id="nobody"),
        pytest.param("o", ("o", None), id="a-server"),
        pytest.param("o.call", ("o", "o.call"), id="a-tool"),
    ],
)
def test_what_was_called_is_named_as_far_as_it_is_known(
    called: str, named: tuple[str | None, str | None]
) -> None:
    found = orjson.loads(problem(ERROR, "i", TRACE, called).body)

    assert (found.get("namespace"), found.get("tool")) == named


def written(error: ProxyError, *, head_only: bool) -> bytes:
    parts = problem(error, "i", TRACE)._replace(body=b"{}")
    return problem_bytes(parts, b"now", b"Connection: close\r\n", head_only=head_only)


HEAD = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/problem+json\r\n"
    b'Proxy-Status: i; error=proxy_internal_error; details="A bug"\r\n'
    b"X-Request-Id: request-1\r\nX-Chora-Trace-Id: flow-1\r\nContent-Length: 2\r\n"
    b"Date: now\r\nConnection: close\r\n\r\n"
)


def test_problem_is_a_whole_answer() -> None:
    assert written(errors.InternalError("A bug"), head_only=False) == HEAD + b"{}"


def test_problem_for_head_has_the_length_of_a_body_that_it_lacks() -> None:
    assert written(errors.InternalError("A bug"), head_only=True) == HEAD


def test_only_printable_ascii_is_quoted_as_it_is() -> None:
    kept = {octet for octet in EVERY if quoted(chr(octet)) == f'"{chr(octet)}"'}

    assert kept == set(range(0x20, 0x7F)) - set(b'"\\') | set(b"?")


@pytest.mark.parametrize(
    ("text", "string"),
    [
        pytest.param('a"b', r'"a\"b"', id="quote"),
        pytest.param("a\\b", r'"a\\b"', id="backslash"),
        pytest.param("a\r\nB: c", '"a??B: c"', id="line-end"),
        pytest.param("\u20ac\x7f", '"??"', id="not-ascii"),
    ],
)
def test_quoted_text_is_a_structured_string(text: str, string: str) -> None:
    assert quoted(text) == string
