"""Deadlines: how long may this call take?

Knows what was said of it, and by whom. Knows nothing of clocks.
"""

import re
from typing import Final

from proxy import errors

_SECONDS: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def asked_timeout_s(value: bytes, most_s: float) -> float:
    """What `Request-Timeout: seconds` asks for, up to `most_s`; 400 if it is no number above 0."""
    asked_s = float(value) if _SECONDS.fullmatch(value) else 0.0
    if not asked_s:
        raise errors.BadValueError("Request-Timeout is not a number of seconds above 0")
    return min(asked_s, most_s)
