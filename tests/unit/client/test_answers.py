"""Answers are read by what they call themselves, and distrusted."""

import orjson
import pytest

from proxy.client import errors
from proxy.client.answers import Answer, error_of, value_of
from proxy.client.errors import GatewayError

PROBLEM = "application/problem+json"


def answer(status: int, body: bytes, kind: str, **headers: str) -> Answer:
    return Answer(status, {"content-type": kind, **headers}, body)


def problem(status: int, **keys: object) -> Answer:
    return answer(status, orjson.dumps({"status": status, **keys}), PROBLEM)


@pytest.mark.parametrize(
    ("kind", "body", "value"),
    [
        ("application/json", b'{"a":1}', {"a": 1}),
        ("application/json; charset=utf-8", "ü".join('""').encode(), "ü"),
        ("application/vnd.x+json", b"[12345678901234567890123]", [12345678901234567890123]),
        ("text/plain; charset=ISO-8859-1", b"\xfc", "ü"),
        ("text/plain", b"\xff", "\ufffd"),
        ("image/png", b"\x89PNG", b"\x89PNG"),
        ("", b"x", b"x"),
        ("application/json", b"", None),
    ],
)
def test_value_is_what_the_content_type_says(kind: str, body: bytes, value: object) -> None:
    assert value_of(answer(200, body, kind), "s.t") == value


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b"\xff", b"1" * 5000], ids=len)
def test_broken_json_is_one_sentence(body: bytes) -> None:
    with pytest.raises(GatewayError, match=r"s\.t was answered with broken JSON"):
        value_of(answer(200, body, "application/json"), "s.t")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", errors.AuthenticationError),
        (403, "forbidden", errors.PermissionError),
        (404, "tool_not_found", errors.NotFoundError),
        (503, "circuit_open", errors.CircuitBreakerError),
        (504, "upstream_timeout", errors.TimeoutError),
        (504, "connect_timeout", errors.TimeoutError),
        (400, "bad_request", GatewayError),
    ],
)
def test_problem_becomes_its_error(status: int, code: str, kind: type[GatewayError]) -> None:
    error = error_of(problem(status, code=code, detail="Why", trace_id="t"), "s.t")

    assert type(error) is kind
    assert (error.status, error.code, error.trace_id) == (status, code, "t")


def test_problem_says_why() -> None:
    error = error_of(problem(503, code="draining", detail="It stops"), "s.t")

    assert str(error) == "s.t failed: It stops (503 Service Unavailable, draining)"


def test_tools_own_failure_has_no_code_and_keeps_its_answer() -> None:
    error = error_of(answer(500, b'{"oops": 1}', "application/json"), "s.t")

    assert (error.code, error.body, error.retryable) == (None, {"oops": 1}, False)
    assert str(error) == 's.t was answered with 500 Internal Server Error: {"oops": 1}'


def test_tools_own_504_is_an_answer_and_no_timeout() -> None:
    assert type(error_of(answer(504, b"", "text/plain"), "s.t")) is GatewayError


def test_long_answer_is_cut_in_the_sentence() -> None:
    error = error_of(answer(500, b"line\n" * 10_000, "text/plain"), "s.t")

    assert len(str(error)) < 300
    assert "\n" not in str(error)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"code": 1, "detail": {}, "trace_id": 2}'])
def test_problem_that_is_none_is_still_an_error(body: bytes) -> None:
    error = error_of(answer(404, body, PROBLEM), "s.t")

    assert (type(error), error.code) == (errors.NotFoundError, None)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("", None), ("soon", None), ("-1", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    failed = answer(503, b"", "text/plain", **{"retry-after": value})

    assert error_of(failed, "s.t").retry_after_s == seconds


def test_unknown_status_has_no_name() -> None:
    assert str(error_of(answer(799, b"", ""), "s.t")) == "s.t was answered with 799"
