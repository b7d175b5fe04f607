"""Judgements: how long may a decision be used again, and which ones are remembered?

Knows sensitivities, room, and time as it is told. Knows neither who decides, nor about what.
"""

import hashlib
from typing import Final, NamedTuple

import msgspec

# What is critical, or unheard of, is decided anew each time.
_KEPT_FOR_S: Final = {"low": 1800.0, "medium": 300.0, "high": 60.0}
_DENIAL_KEPT_FOR_S: Final = 5.0
_MOST: Final = 10_000
_MOST_BYTES: Final = 16 * 1024**2
_CANONICAL: Final = msgspec.json.Encoder(decimal_format="number", order="deterministic")


class Judgement(NamedTuple):
    """What was decided about a call.

    `filtered` is the JSON object that replaces the parameters, as bytes: nobody who gets it can
    change what the next one gets. `failed`: nothing was decided, so it is a denial.
    """

    allow: bool
    reason: str = ""
    filtered: bytes | None = None
    audit_id: str = ""
    failed: bool = False


def may_be_kept(sensitivity: str) -> bool:
    """Is any decision about calls of this level good for a second one?"""
    return sensitivity in _KEPT_FOR_S


def kept_for_s(judgement: Judgement, sensitivity: str) -> float:
    """For how long it may be used again, from when it was asked for."""
    if judgement.failed:
        return 0.0
    longest_s = _KEPT_FOR_S.get(sensitivity, 0.0)
    return longest_s if judgement.allow else min(longest_s, _DENIAL_KEPT_FOR_S)


def key_of(asked: tuple[object, ...]) -> bytes:
    """A digest that differs wherever two questions do; ValueError for what JSON has no text for.

    Of their JSON with sorted keys: where one value ends and the next begins is never in doubt.
    """
    return hashlib.sha256(_CANONICAL.encode(asked)).digest()


class _Kept(NamedTuple):
    judgement: Judgement
    until: float


class Judgements:
    """Those that may be used again; when there is no room, the oldest go first."""

    def __init__(self, most: int = _MOST, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._kept: dict[bytes, _Kept] = {}
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Judgements {len(self._kept)}, {self._bytes} bytes>"

    def find(self, key: bytes, now: float) -> Judgement | None:
        kept = self._kept.get(key)
        return kept.judgement if kept is not None and now < kept.until else None

    def keep(self, key: bytes, judgement: Judgement, sensitivity: str, asked_at: float) -> None:
        """Remember it, if it may be used again at all."""
        for_s = kept_for_s(judgement, sensitivity)
        if not for_s or _size_bytes(judgement) > self._most_bytes:
            return
        if key in self._kept:
            self._drop(key)
        self._kept[key] = _Kept(judgement, asked_at + for_s)
        self._bytes += _size_bytes(judgement)
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        self._bytes -= _size_bytes(self._kept.pop(key).judgement)


def _size_bytes(judgement: Judgement) -> int:
    return len(judgement.filtered or b"")
