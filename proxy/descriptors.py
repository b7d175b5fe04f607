"""Open files: how many there may be, how many callers they leave room for, and whether any is left.

Knows the process's limit (getrlimit(2), RLIMIT_NOFILE). Knows nothing of who uses them.
"""

import errno
import logging
import os
import resource
from typing import Final

_LOG = logging.getLogger("toolproxy")
_MOST: Final = 1 << 20  # where the hard limit is none at all
_FOR_OURSELVES: Final = 64  # the listener, the loop, probes, the child that reads a registry
_FEWEST_CALLERS: Final = 16
_LOOK_EVERY_S: Final = 1.0
_NONE_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE})


def raise_limit() -> int:
    """Take as many as the hard limit gives, as servers do; how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


def room_for_callers(limit: int) -> int:
    """How many callers may come: each may need one more descriptor, for its upstream."""
    return max(_FEWEST_CALLERS, (limit - _FOR_OURSELVES) // 2)


def is_shortage(error: Exception) -> bool:
    """Whether it failed for want of one; not every error says so (a name that was not resolved)."""
    return getattr(error, "errno", None) in _NONE_LEFT or not is_one_left()


def is_one_left() -> bool:
    """Whether another could be opened now."""
    try:
        os.close(os.dup(2))
    except OSError as error:
        return error.errno not in _NONE_LEFT
    return True


class Shortage:
    """Says when none is left, and when it is over: once each, not once for every caller."""

    def __init__(self) -> None:
        self._lasts = False
        self._look_at = 0.0

    def __repr__(self) -> str:
        return f"<Shortage {'lasts' if self._lasts else 'over'}>"

    def look(self, now: float) -> None:
        if now < self._look_at:
            return
        self._look_at = now + _LOOK_EVERY_S
        lasts = not is_one_left()
        if lasts and not self._lasts:
            _LOG.error(
                "No descriptor is left (RLIMIT_NOFILE %d): who connects now is turned away",
                resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            )
        elif self._lasts and not lasts:
            _LOG.warning("Descriptors are free again")
        self._lasts = lasts
