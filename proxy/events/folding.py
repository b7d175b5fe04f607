"""Refusals, folded: equal ones within a second are one event with a count.

Else anybody without a key could flush ring and journal. Knows nothing of why somebody is refused.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final

_LOG = logging.getLogger("toolproxy.admission.refusals")
_FOLD_S: Final = 1.0
_MOST: Final = 100  # subjects and reasons at a time; the others are counted together
_OTHERS: Final = "others"


class Folding:
    """`denied` for each refusal, `sweep` now and then."""

    def __init__(self, tell: Callable[[str, Mapping[str, object]], None]) -> None:
        self._tell = tell
        self._open: dict[tuple[str, str, str], tuple[float, int, str]] = {}

    def denied(
        self, subject: str, tool: str, code: str, reason: str, now: float, *, times: int = 1
    ) -> None:
        """Somebody was not let in: told at once the first time, then once a second."""
        key = (subject, code, reason)
        if key not in self._open and len(self._open) >= _MOST:
            key = (_OTHERS, code, "several")
        if key in self._open:
            told_at, count, _ = self._open[key]
            self._open[key] = (told_at, count + times, tool)
        else:
            self._open[key] = (now, 0, tool)
            self._say(key, tool, times)

    def sweep(self, now: float) -> None:
        """Tell what has come together."""
        for key, (told_at, count, tool) in list(self._open.items()):
            if now - told_at < _FOLD_S:
                continue
            if count:
                self._open[key] = (now, 0, tool)
                self._say(key, tool, count)
            else:
                del self._open[key]

    def _say(self, key: tuple[str, str, str], tool: str, count: int) -> None:
        subject, code, reason = key
        _LOG.warning("Refused %s: %s%s", subject, reason, f" ({count} times)" if count > 1 else "")
        self._tell(
            "authorization_denied",
            {
                "status": "failure",
                "subject": subject,
                "tool_name": tool or None,
                "reason": reason,
                "count": count,
                "error_code": code,
                "error_message": f"Refused: {reason}",
            },
        )
