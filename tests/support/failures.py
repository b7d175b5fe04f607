"""The ways in which one call fails by its upstream's fault, and those in which nobody's is shown.

Each begins a call in a transcript (see `replicas`) and plays it to its end.
"""

from collections.abc import Callable
from typing import Final

from tests.support.replicas import FIRST, LONG, SECOND, asked, asking, call, status, waits
from tests.support.transcript import Peer, Transcript

Plays = Callable[[Transcript], object]

# What a transcript needs for these to take little time and one attempt each.
QUICK: Final = "\ntimeout: 200ms\nconnect_timeout: 100ms\nidle_timeout: 200ms\nretry: {attempts: 1}"


def _begun(t: Transcript, octets: bytes) -> tuple[Peer, Peer]:
    """A caller and the upstream that was asked, which has answered so much."""
    caller = asking(t)
    upstream = asked(t)
    assert upstream is not None, "no upstream was asked"
    upstream.sends(octets)
    return caller, upstream


def _is_refused(t: Transcript) -> None:
    t.refusing = {FIRST, SECOND}
    asking(t)
    t.refusing = set()


def _finds_no_connection(t: Transcript) -> None:
    t.connects_at_once = False
    asking(t)
    waits(t, 0.15)
    t.connects_at_once = True


def _is_not_answered(t: Transcript) -> None:
    asking(t)
    waits(t, 0.25)


def _is_answered_late_by_ourselves(t: Transcript) -> None:
    asking(t)
    t.passes(0.3)


def _falls_silent(t: Transcript) -> None:
    _begun(t, LONG)
    waits(t, 0.3)


def _is_not_taken(t: Transcript) -> None:
    caller, _ = _begun(t, LONG)
    caller.is_full()
    waits(t, 0.3)


def _caller_leaves(t: Transcript) -> None:
    caller, _ = _begun(t, b"")
    caller.ends()


def _caller_leaves_half_way(t: Transcript) -> None:
    caller, _ = _begun(t, LONG)
    caller.ends()


def _sends(octets: bytes) -> Plays:
    return lambda t: _begun(t, octets)


def _breaks_off(octets: bytes) -> Plays:
    return lambda t: _begun(t, octets)[1].resets()


FAILURES: Final[dict[str, Plays]] = {
    "refused": _is_refused,
    "no-connection-in-time": _finds_no_connection,
    "reset": _breaks_off(b""),
    "reset-half-way": _breaks_off(LONG),
    "no-answer-in-time": _is_not_answered,
    "silent-half-way": _falls_silent,
    "no-http": _sends(b"nonsense\r\n\r\n"),
    **{str(code): _sends(status(code)) for code in (502, 503, 504)},
}
GOOD: Final[dict[str, Plays]] = {
    str(code): _sends(status(code)) for code in (200, 400, 404, 408, 429, 500, 501)
}
PROOF_OF_NOTHING: Final[dict[str, Plays]] = {
    "caller-leaves": _caller_leaves,
    "caller-leaves-half-way": _caller_leaves_half_way,
    "caller-takes-nothing": _is_not_taken,
    "late-by-ourselves": _is_answered_late_by_ourselves,
}
FAILS: Final = {FIRST: 503, SECOND: 503}
TRIPPED: Final = ["circuit closed -> open"]


def tripped(t: Transcript) -> Transcript:
    """Five calls have failed, and the circuit is open."""
    for _ in range(5):
        call(t, FAILS)
    assert t.witness.told == TRIPPED
    return t
