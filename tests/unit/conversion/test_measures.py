import pytest

from proxy.conversion.measures import milliseconds, octets, size, span
from proxy.conversion.notes import NotCarriedError


@pytest.mark.parametrize(
    ("text", "span_ms"),
    [("60", 60_000), ("60s", 60_000), ("500ms", 500), ("1h30m", 5_400_000), ("1d", 86_400_000)],
)
def test_spans_are_read_as_nginx_reads_them(text: str, span_ms: int) -> None:
    assert milliseconds(text) == span_ms


@pytest.mark.parametrize("text", ["", "soon", "1x", "-1", "1m x", "9" * 16])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(NotCarriedError, match="no span"):
        milliseconds(text)


@pytest.mark.parametrize(
    ("text", "size_bytes"), [("0", 0), ("1k", 1 << 10), ("10m", 10 << 20), ("2G", 2 << 30)]
)
def test_sizes_are_read_as_nginx_reads_them(text: str, size_bytes: int) -> None:
    assert octets(text) == size_bytes


@pytest.mark.parametrize("text", ["", "ten", "1.5m", "1t"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(NotCarriedError, match="no size"):
        octets(text)


def test_both_are_written_in_the_largest_unit_that_fits() -> None:
    written = [span(60_000), span(1_500), size(1 << 20), size(3 << 30), size(1_500), size(0)]

    assert written == ["60s", "1500ms", "1MiB", "3GiB", "1500B", "0B"]
