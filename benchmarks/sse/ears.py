"""What a subscriber does with what it hears: most count the events, witnesses read each of them.

Knows bytes and moments. Knows nothing of sockets.
"""

import re
from array import array
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from benchmarks.sse.messages import Messages, opening

# Each call carries the moment at which it was sent, of the clock that all processes here share.
STAMP: Final = "t-{:019d}"
MARK: Final = b'"t-'  # begins a stamp, and nothing else in an event
_STAMP: Final = re.compile(MARK + rb"(\d{19})\"")


class Ear(Protocol):
    """One subscriber's."""

    @property
    def seated(self) -> bool:
        """Has its subscription been confirmed?"""

    @property
    def heard(self) -> int:
        """Events since `begin`."""

    def take(self, piece: bytes, now_ns: int) -> None:
        """Hear what has come; `RefusedError` where that is no event stream, `BrokenError`."""

    def begin(self) -> None:
        """Forget what was heard."""


class CountingEar:
    """Counts stamps, and looks at nothing else: so cheap that thousands of them fit on a core."""

    __slots__ = ("_tail", "heard", "seated")

    def __init__(self) -> None:
        self._tail = b""  # of the piece before: the head until it is whole, then half a mark
        self.heard = 0
        self.seated = False

    def __repr__(self) -> str:
        return f"<CountingEar {self.heard}>"

    def take(self, piece: bytes, now_ns: int) -> None:
        del now_ns
        if self._tail:
            piece = self._tail + piece
        if not self.seated:
            opened = opening(piece)
            if opened is None:
                self._tail = piece
                return
            self.seated = True
            piece = opened.rest
        self.heard += piece.count(MARK)
        # Whole frames end a line, and most pieces are whole frames.
        self._tail = b"" if piece.endswith(b"\n") else piece[1 - len(MARK) :]

    def begin(self) -> None:
        self.heard = 0


class Witness:
    """Reads every message; notes which events came, in which order, and how late each was."""

    __slots__ = (
        "_head",
        "_messages",
        "data_bytes",
        "delays_ns",
        "gaps",
        "latest_ns",
        "seated",
        "stamps_ns",
    )

    def __init__(self) -> None:
        self._head = b""
        self._messages: Messages | None = None
        self.seated = False
        self.stamps_ns = array("q")
        self.delays_ns = array("q")
        self.data_bytes = 0
        self.latest_ns = 0
        self.gaps = 0

    def __repr__(self) -> str:
        return f"<Witness of {self.heard}, {self.gaps} gaps>"

    @property
    def heard(self) -> int:
        return len(self.stamps_ns)

    def take(self, piece: bytes, now_ns: int) -> None:
        if self._messages is None:
            self._head += piece
            opened = opening(self._head)
            if opened is None:
                return
            self._messages = Messages(chunked=opened.chunked)
            self.seated = True
            piece = opened.rest
        for message in self._messages.take(piece):
            found = _STAMP.search(message.data)
            if found is None:
                self.gaps += message.event == b"gap"
                continue
            stamp_ns = int(found[1])
            self.stamps_ns.append(stamp_ns)
            self.delays_ns.append(now_ns - stamp_ns)
            self.data_bytes += len(message.data)
            self.latest_ns = now_ns

    def begin(self) -> None:
        del self.stamps_ns[:]
        del self.delays_ns[:]
        self.data_bytes = 0
        self.latest_ns = 0
        self.gaps = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an audience has heard in a course."""

    seated: int  # whose subscription was confirmed
    left: int  # who were sent away
    heard: int
    astray: int  # deliveries too few or too many, subscriber by subscriber
    problem: str = ""

    @classmethod
    def of(cls, ears: Sequence[Ear], expected: int, left: int = 0, problem: str = "") -> "Report":
        """`expected`: events that were there for each of them to hear."""
        return cls(
            seated=sum(each.seated for each in ears),
            left=left,
            heard=sum(each.heard for each in ears),
            astray=sum(abs(each.heard - expected) for each in ears),
            problem=problem,
        )

    def __add__(self, other: "Report") -> "Report":
        return Report(
            seated=self.seated + other.seated,
            left=self.left + other.left,
            heard=self.heard + other.heard,
            astray=self.astray + other.astray,
            problem=self.problem or other.problem,
        )


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the witnesses of one course say together."""

    p50_ms: float
    p99_ms: float
    worst_ms: float
    span_s: float  # from the first call's being sent to the last receipt
    event_bytes: float  # of an event's data, on average
    at_odds: int  # witnesses who missed a thing, saw one twice, or in another order

    @classmethod
    def of(cls, witnesses: Sequence[Witness]) -> "Account":
        """Of those who have heard something."""
        delays_ns = sorted(each for one in witnesses for each in one.delays_ns)
        fullest = max(witnesses, key=lambda one: one.heard)
        stamps_ns = fullest.stamps_ns
        twice = len(set(stamps_ns)) < len(stamps_ns)
        return cls(
            p50_ms=delays_ns[len(delays_ns) // 2] / 1e6,
            p99_ms=delays_ns[len(delays_ns) * 99 // 100] / 1e6,
            worst_ms=delays_ns[-1] / 1e6,
            span_s=(max(each.latest_ns for each in witnesses) - min(stamps_ns)) / 1e9,
            event_bytes=sum(each.data_bytes for each in witnesses) / len(delays_ns),
            at_odds=sum(
                twice or each.gaps > 0 or each.stamps_ns != stamps_ns for each in witnesses
            ),
        )
