"""Balancing: which of the usable endpoints gets this call?

Knows how loaded, heavy and slow each is. Knows nothing of whether it is well, or of what it is
asked: keys come as bytes, chance as an argument.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from math import exp, log
from typing import Final, Protocol, TypeVar

_FEW: Final = 4  # so many are compared one by one: two draws of two are the same one too often
_DECAY_S: Final = 10.0
# What a call is thought to take at an endpoint that has not answered yet: little, so that it is
# tried, and more than nothing, so that it does not get every call until its first answer.
_UNKNOWN_S: Final = 0.001
_PENALTY_S: Final = 5.0  # what a failure counts as
# Beside an equally loaded one that is so many times as fast, one that took so long is left alone.
_FAR: Final = 10.0
_SLOW_S: Final = 0.02
_SLOW_START_FROM: Final = 0.1
_MASK: Final = 0xFFFF_FFFF_FFFF_FFFF


class Loaded(Protocol):
    """What balancing must know of an endpoint."""

    active: int  # attempts in flight
    weight: float  # as configured, less what slow start takes off
    full_weight: float  # as configured
    credit: float  # of the round robin; its alone to change
    latency: "Latency"

    @property
    def seed(self) -> int:
        """64 bits that stand for its address, the same in every process."""


EndpointT = TypeVar("EndpointT", bound=Loaded)
Chance = Callable[[], float]  # [0, 1)


class Latency:
    """How long calls take at one endpoint: a rise counts at once, a fall decays (peak EWMA).

    `lately_s` is what its last two calls took at least: one slow call may be chance.
    """

    __slots__ = ("_at", "_estimate_s", "last_s", "lately_s")

    def __init__(self) -> None:
        self.lately_s = 0.0
        self.last_s = 0.0
        self._estimate_s = 0.0
        self._at = 0.0

    def __repr__(self) -> str:
        return f"<Latency {self._estimate_s * 1000:.1f} ms>"

    def estimate_s(self, now: float) -> float:
        """What to expect now; silence decays too, so that a slow one is asked again in the end."""
        if not self._at:
            return _UNKNOWN_S
        least_s = min(self._estimate_s, _UNKNOWN_S)  # and not by every call at once
        return max(self._estimate_s * exp((self._at - now) / _DECAY_S), least_s)

    def sample(self, took_s: float, now: float) -> None:
        """One call took so long."""
        self.lately_s = min(self.last_s, took_s)
        self.last_s = took_s
        if not self._at or took_s > self._estimate_s:
            self._estimate_s = took_s
        elif now > self._at:
            kept = exp((self._at - now) / _DECAY_S)
            self._estimate_s = self._estimate_s * kept + took_s * (1 - kept)
        self._at = now

    @property
    def is_known(self) -> bool:
        """Has a call been answered, or failed?"""
        return self._at > 0.0

    def is_far_behind(self, other: "Latency", now: float) -> bool:
        """Has it lately been so slow, beside the other, that chance need not find it out again?

        After a while of silence chance may.
        """
        return self.lately_s > max(_SLOW_S, _FAR * other.last_s) and now - self._at < _DECAY_S

    def penalize(self, now: float) -> None:
        """One call failed: an endpoint that fails fast must attract nothing."""
        self.sample(_PENALTY_S, now)


def least_request(usable: Sequence[EndpointT], now: float, chance: Chance) -> EndpointT:
    """The least `(active + 1) / weight`: of all when they are few, else of two drawn by chance.

    Among equals chance decides, but for one that is far behind: a replica that has turned slow
    would else get a call whenever the others are idle too, and those are what a p99 is made of.
    """
    many = len(usable)
    if many > _FEW:
        first = int(chance() * many)
        second = int(chance() * (many - 1))
        one, other = usable[first], usable[second + (second >= first)]
        load, least = (other.active + 1) * one.weight, (one.active + 1) * other.weight
        by_other = load < least or (load == least and one.latency.is_far_behind(other.latency, now))
        return other if by_other else one
    best, equals = usable[0], 1
    for at in range(1, many):
        each = usable[at]
        load, least = (each.active + 1) * best.weight, (best.active + 1) * each.weight
        if load < least:
            best, equals = each, 1
        elif load == least and not each.latency.is_far_behind(best.latency, now):
            equals += 1
            if best.latency.is_far_behind(each.latency, now):
                best, equals = each, 1
            elif chance() * equals < 1:  # each of the equals is as likely as the others
                best = each
    return best


def round_robin(usable: Sequence[EndpointT]) -> EndpointT:
    """Each in proportion to its weight, spread evenly: 5, 1, 1 gives `a a b a c a a`."""
    total = 0.0
    best = usable[0]
    for each in usable:
        total += each.weight
        each.credit += each.weight
        if each.credit > best.credit:
            best = each
    best.credit -= total
    return best


def peak_ewma(usable: Sequence[EndpointT], now: float, chance: Chance) -> EndpointT:
    """The least latency times load: of all when they are few, else of two drawn by chance."""
    if len(usable) > _FEW:
        first = int(chance() * len(usable))
        second = int(chance() * (len(usable) - 1))
        usable = (usable[first], usable[second + (second >= first)])
    return min(usable, key=lambda each: _expected(each, now))


def _expected(endpoint: Loaded, now: float) -> tuple[float, float]:
    """What a call would take there, in seconds; among equals, how loaded it would be."""
    load = (endpoint.active + 1) / endpoint.weight
    if not (endpoint.active or endpoint.latency.is_known):
        return 0.0, load  # one call finds out
    return endpoint.latency.estimate_s(now) * load, load


def rendezvous(usable: Sequence[EndpointT], key: bytes) -> EndpointT:
    """The endpoint that this key belongs to, whoever asks (highest random weight).

    By the weight as configured: slow start would move keys twice.
    """
    hashed = int.from_bytes(blake2b(key, digest_size=8).digest(), "little")
    best, farthest = usable[0], -1
    for each in usable:
        mixed = _mixed(hashed ^ each.seed)
        if each.full_weight == best.full_weight:
            farther = mixed > farthest
        else:
            farther = _score(mixed, each.full_weight) > _score(farthest, best.full_weight)
        if farther:
            best, farthest = each, mixed
    return best


def _score(mixed: int, weight: float) -> float:
    share = ((mixed >> 12) + 0.5) / (1 << 52)  # in (0, 1)
    return weight / -log(share)


def seed_of(address: str) -> int:
    """What `Loaded.seed` is for this address."""
    return int.from_bytes(blake2b(address.encode(), digest_size=8).digest(), "little")


def _mixed(bits: int) -> int:
    """64 bits of which each depends on all (the finalizer of SplitMix64, Steele et al. 2014)."""
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def slow_start_factor(for_s: float, window_s: float) -> float:
    """The share of its weight that an endpoint has which came `for_s` ago: 0.1 up to 1, evenly."""
    if for_s >= window_s:
        return 1.0
    return max(_SLOW_START_FROM, for_s / window_s)
