"""What is looked at in a ring: work counted, where time would depend on the machine."""

import pytest

from proxy.events.event import Event
from proxy.events.ring import Ring


def positions_looked_at(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each event that is taken out of any ring."""
    looked_at: list[int] = []
    at = Ring.at

    def noting(ring: Ring, position: int) -> Event:
        looked_at.append(position)
        return at(ring, position)

    monkeypatch.setattr(Ring, "at", noting)
    return looked_at
