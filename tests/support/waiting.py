"""Waiting for a fact to become true, with an end to it; never for a span of time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_GLANCE_S = 0.002


def eventually(fact: Callable[[], T], *, within_s: float = 10.0) -> T:
    """Ask until the answer is truthy; give the last answer, true or not, after `within_s`."""
    ends_at = time.monotonic() + within_s
    while not (answer := fact()) and time.monotonic() < ends_at:
        time.sleep(_GLANCE_S)
    return answer
