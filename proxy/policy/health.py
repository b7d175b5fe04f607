"""Probe results to a verdict: is this endpoint to be used, why, and since when?

Knows thresholds and moments. Knows nothing of how a probe is made, or of what else was learnt.
"""

from enum import Enum


class Verdict(Enum):
    """What is known of an endpoint. Until something is known it takes traffic."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"  # it answers, and says no
    UNREACHABLE = "unreachable"  # it does not answer

    @property
    def usable(self) -> bool:
        return self is Verdict.HEALTHY or self is Verdict.UNKNOWN


class Health:
    """One endpoint's verdict, changed by consecutive probe results.

    The first probe decides at once. Then `healthy_after` good ones bring an endpoint back and
    `unhealthy_after` bad ones take it out; how it is down may change at once.
    """

    __slots__ = ("_disagreeing", "reason", "since", "usable", "verdict")

    def __init__(self) -> None:
        self.verdict = Verdict.UNKNOWN
        self.usable = True  # kept beside the verdict: it is asked once a call
        self.reason = "not probed yet"
        self.since = 0.0
        self._disagreeing = 0

    def __repr__(self) -> str:
        return f"<Health {self.verdict.name} {self.reason}>"

    @property
    def settled(self) -> bool:
        """Is it up, and did the last probe say so too? Else it is worth asking sooner."""
        return self.verdict is Verdict.HEALTHY and not self._disagreeing

    def probed(
        self, result: Verdict, reason: str, now: float, *, healthy_after: int, unhealthy_after: int
    ) -> bool:
        """Count one result; True when the verdict changed."""
        if result is self.verdict:
            self._disagreeing = 0
            self.reason = reason
            return False
        self._disagreeing += 1
        needed = healthy_after if result.usable else unhealthy_after
        if self.verdict is Verdict.UNKNOWN or result.usable is self.verdict.usable:
            needed = 1
        if self._disagreeing < needed:
            return False
        self._turn(result, reason, now)
        return True

    def _turn(self, verdict: Verdict, reason: str, now: float) -> None:
        self.verdict = verdict
        self.usable = verdict.usable
        self.reason = reason
        self.since = now
        self._disagreeing = 0


def probe_verdict(status: int, expect: tuple[int, ...]) -> tuple[Verdict, str]:
    """What a probe's status says: 404 means no health endpoint, and nothing ill."""
    good = status in expect if expect else status in _GOOD
    if good:
        return Verdict.HEALTHY, f"answered {status}"
    return Verdict.UNHEALTHY, f"answered {status} to the probe"


_GOOD = frozenset({200, 404})


def aggregate(usable: list[bool]) -> str:
    """The sidecar's own word for its servers (the `status` of `/health`)."""
    if not usable:
        return "unknown"
    if all(usable):
        return "healthy"
    return "degraded" if any(usable) else "unhealthy"
