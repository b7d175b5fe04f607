"""Facts about durations, sizes and rates."""

import math

import pytest

from proxy.config.units import duration_s, rate, size_bytes

ODDITIES: list[object] = [True, None, [], -1, -0.5, "", "-1", "1 s", "1d", "s", "\u0661s"]
ODDITIES += ["1e3", "30s\n"]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (2, 2.0),
        (0, 0.0),
        (0.5, 0.5),
        ("30", 30.0),
        ("1h", 3600),
        ("250ms", 0.25),
        ("1.5s", 1.5),
        ("5m", 300),
    ],
)
def test_duration_is_seconds_or_has_a_unit(written: object, seconds: float) -> None:
    assert duration_s(written) == seconds


@pytest.mark.parametrize("odd", [*ODDITIES, math.nan, math.inf, 10**400, "9" * 400])
def test_anything_else_is_no_duration(odd: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration_s(odd)


@pytest.mark.parametrize(
    ("written", "size"),
    [(0, 0), (65536, 65536), ("7", 7), ("7B", 7), ("64KiB", 65536), ("1GiB", 1 << 30)],
)
def test_size_is_bytes_or_has_a_binary_unit(written: object, size: int) -> None:
    assert size_bytes(written) == size


@pytest.mark.parametrize("odd", [*ODDITIES, 1.5, "64KB", "1.5MiB", "64k", "9" * 5000])
def test_anything_else_is_no_size(odd: object) -> None:
    with pytest.raises(ValueError, match="size"):
        size_bytes(odd)


@pytest.mark.parametrize(
    ("written", "amount", "span_s"),
    [("100/s", 100, 1), ("90/m", 90, 60), ("1800/h", 1800, 3600), ("0.5/s", 0.5, 1)],
)
def test_rate_is_a_number_per_unit(written: str, amount: float, span_s: int) -> None:
    assert rate(written) == (amount, span_s)
    assert str(rate(written)) == written


@pytest.mark.parametrize("odd", [*ODDITIES, 100, "100", "100/d", "/s", "-1/s"])
def test_anything_else_is_no_rate(odd: object) -> None:
    with pytest.raises(ValueError, match="rate"):
        rate(odd)


def test_endless_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="above 0"):
        rate("9" * 400 + "/s")
