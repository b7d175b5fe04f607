"""Facts about a record: what it says of an exchange, and when."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from proxy.telemetry import record as module
from proxy.telemetry.record import Calendar
from tests.support.records import record


def test_time_of_the_upstream_is_from_request_to_head() -> None:
    asked = record()
    asked.sent_at, asked.answered_at = 2.0, 2.5

    assert asked.upstream_s == 0.5


@pytest.mark.parametrize(("sent_at", "answered_at"), [(0.0, 0.0), (2.0, 0.0)])
def test_upstream_that_never_answered_took_no_time(sent_at: float, answered_at: float) -> None:
    asked = record()
    asked.sent_at, asked.answered_at = sent_at, answered_at

    assert asked.upstream_s == 0.0


@pytest.mark.parametrize("status", [0, 200, 404, 502])
def test_caller_that_left_decides_the_outcome(status: int) -> None:
    left = record(status)
    left.flag = "DC"

    assert left.outcome == "caller_left"


def test_now_is_written_as_rfc_3339_has_it() -> None:
    written = Calendar().now().decode()

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", written)
    assert abs(datetime.fromisoformat(written) - datetime.now(UTC)) < timedelta(seconds=5)


def test_moments_follow_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([0.0, 0.9996, 1.0, 86399.001, 5.5])
    monkeypatch.setattr(module, "time", lambda: next(moments))
    calendar = Calendar()

    assert [calendar.now() for _ in range(5)] == [
        b"1970-01-01T00:00:00.000Z",
        b"1970-01-01T00:00:00.999Z",
        b"1970-01-01T00:00:01.000Z",
        b"1970-01-01T23:59:59.001Z",
        b"1970-01-01T00:00:05.500Z",
    ]


def test_calendar_knows_when_the_monotonic_clock_began(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "time", lambda: 1_000.5)
    monkeypatch.setattr(module, "monotonic", lambda: 900.0)

    assert Calendar().began_at == 100.5
