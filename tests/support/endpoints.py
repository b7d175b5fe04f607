"""Endpoints without addresses or calls: what balancing must know of one, and no more."""

from string import ascii_lowercase

from proxy.policy.balancing import Latency, seed_of


class StandIn:
    """An endpoint, as `balancing.Loaded` wants it; equal names share keys alike."""

    def __init__(self, name: str, *, weight: float = 1.0, active: int = 0) -> None:
        self.name = name
        self.active = active
        self.weight = float(weight)
        self.full_weight = float(weight)
        self.credit = 0.0
        self.latency = Latency()
        self.seed = seed_of(name)

    def __repr__(self) -> str:
        return f"<StandIn {self.name}>"


def weighted(*weights: float) -> list[StandIn]:
    """One endpoint per weight: `a`, `b`, `c` ..."""
    return [
        StandIn(name, weight=weight) for name, weight in zip(ascii_lowercase, weights, strict=False)
    ]


def loaded(*active: int) -> list[StandIn]:
    """One endpoint per number of calls that it has: `a`, `b`, `c` ..."""
    return [
        StandIn(name, active=calls) for name, calls in zip(ascii_lowercase, active, strict=False)
    ]
