"""`registry keygen`: a pair of keys, and where each of them belongs."""

import re
from argparse import Namespace
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from proxy.artifact import moment
from proxy.people.output import Output
from proxy.people.tables import pairs
from proxy.people.unusable import UnusableError
from proxy.publishing.private_keys import Made, make_keys

_SPAN: Final = re.compile(r"([0-9]{1,6})([dh])")
_SPAN_S: Final = {"d": 86_400.0, "h": 3_600.0}
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})"
)


def keygen(output: Output, options: Namespace, environ: Mapping[str, str]) -> int:
    """Nothing is ever overwritten."""
    _ = environ
    now = datetime.now(UTC).timestamp()
    expires_at = None if options.expires is None else expiry(options.expires, now)
    made = make_keys(options.name, Path(options.dir), now=now, expires_at=expires_at)
    if output.for_people:
        output.lines(pairs(_told(made), output.sheet))
        output.note(
            f"Copy {made.public} to the trusted keys of each sidecar."
            " The private key stays here, with whoever signs."
        )
    else:
        output.document(dict(_told(made)))
    return 0


def expiry(text: str, now: float) -> float:
    """A span from `now`, or an RFC 3339 moment after it, in seconds of the epoch."""
    expires_at = _moment_s(text)
    span = _SPAN.fullmatch(text)
    if span is not None:
        expires_at = now + int(span[1]) * _SPAN_S[span[2]]
    if expires_at is None or not now < expires_at < _END_S:
        raise UnusableError(
            f"--expires {text}: expected 365d, 12h or a moment to come, as 2027-01-31T12:00:00Z"
        )
    return expires_at


def _moment_s(text: str) -> float | None:
    if not _MOMENT.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):  # the 30th of February; an offset out of the year 1
        return None


def _told(made: Made) -> list[tuple[str, object]]:
    ends = made.key.expires_at
    return [
        ("key_id", made.key.key_id),
        ("private_key", str(made.private)),
        ("public_key", str(made.public)),
        ("expires_at", None if ends is None else moment(ends)),
    ]


_END_S: Final = datetime.max.replace(tzinfo=UTC).timestamp()
