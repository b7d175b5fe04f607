"""Facts about regular expressions of settings: what they may be, and how long they may take."""

import time

import pytest

from proxy.config.expressions import expression

# Each takes minutes where an expression may try again and again.
ENDLESS = [r"^/(a+)+$", r"^/(.*)/(.*)/(.*)\.json$", r"(x+x+)+y"]


def test_groups_are_found_in_bytes() -> None:
    found = expression(r"^/v(?P<n>\d+)/(x)?").search(b"/v12/")

    assert found.groups() == (b"12", None)


@pytest.mark.parametrize("pattern", ENDLESS)
@pytest.mark.parametrize("path", [b"/" * 8_000, b"/" + b"a" * 8_000 + b"!", b"x" * 8_000])
def test_no_path_takes_long(pattern: str, path: bytes) -> None:
    began = time.perf_counter()

    expression(pattern).search(path)

    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("pattern", ["(", r"(?!a)b", r"(a)\1", "a{1,2000}", "x" * 1_001])
def test_what_can_take_long_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        expression(pattern)
