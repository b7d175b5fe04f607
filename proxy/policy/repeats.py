"""Repeats: has this caller made this call before, or is it being made right now?

Knows callers, keys and digests as bytes, answers as they were sent, and moments. Knows nothing of
tools, of header fields, or how one waits.
"""

from collections import deque
from hashlib import sha256
from typing import Any, Final, Protocol

_MOST_WAITERS: Final = 1_000  # of one call
# Those who left are looked for once in so many joins: that many may be in vain, no more.
_JOINS_A_LOOK: Final = 32
_LONG_NAME_BYTES: Final = 64  # a longer one is held as its digest: who calls can be a long subject
# What an entry takes beside its bytes, by tracemalloc on CPython 3.11, rounded up: the two objects,
# five byte strings, a dictionary, its places in the table and in the line.
_ENTRY_BYTES: Final = 768
_NOTE_BYTES: Final = 128  # the same for each of the notes


class Waiter(Protocol):
    """Somebody who has joined a call (a future is one): to be told when it is over."""

    def done(self) -> bool:
        """Has it been told, or has it left?"""

    def set_result(self, result: None, /) -> None:
        """The call is over."""


class Mismatch(Exception):  # noqa: N818 - no failure: what was found, and its catcher makes the error
    """The same key came with another call."""


class Kept:
    """An upstream's whole answer, as it can be sent again.

    `status_line` is what follows the version (`200 OK`), `lines` are the field lines, each with its
    CRLF in front. `noted` are the fields that are read again.
    """

    __slots__ = ("body", "lines", "noted", "status", "status_line")

    def __init__(
        self, status_line: bytes, lines: bytes, body: bytes, status: int, noted: dict[bytes, bytes]
    ) -> None:
        self.status_line = status_line
        self.lines = lines
        self.body = body
        self.status = status
        self.noted = noted

    def __repr__(self) -> str:
        return f"<Kept {self.status}, {self.sent_bytes} bytes>"

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process: a compiled class has nothing that pickle could take it apart by."""
        return Kept, (self.status_line, self.lines, self.body, self.status, self.noted)

    @property
    def sent_bytes(self) -> int:
        """What goes to the caller, head and body."""
        return len(self.status_line) + len(self.lines) + len(self.body)

    @property
    def noted_bytes(self) -> int:
        """What the notes take in memory."""
        return sum([_NOTE_BYTES + len(name) + len(value) for name, value in self.noted.items()])


class Call:
    """One call that others may join, by appending to `waiters` as soon as `begin` gave it to them.

    `kept` is the answer once it is over; None when there is none to be had: then begin again.
    """

    __slots__ = ("_joins", "digest", "held_bytes", "kept", "name", "running", "until", "waiters")

    def __init__(self, name: bytes, digest: bytes) -> None:
        self.name = name
        self.digest = digest
        self.held_bytes = _ENTRY_BYTES + len(name) + len(digest)
        self.running = True
        self.kept: Kept | None = None
        self.until = 0.0  # when its answer is too old
        self.waiters: list[Waiter] = []
        self._joins = 0  # since those who left were looked for

    def __repr__(self) -> str:
        state = "running" if self.running else "over"
        return f"<Call {state}, {len(self.waiters)} waiting, kept={self.kept}>"

    def make_place(self) -> bool:
        """Have a place for one more who waits, if there may be one."""
        self._joins += 1
        if self._joins >= _JOINS_A_LOOK:
            self._joins = 0
            self.waiters = [waiter for waiter in self.waiters if not waiter.done()]
        return len(self.waiters) < _MOST_WAITERS

    def end(self, kept: Kept | None) -> None:
        """Over: all who still wait are told, and find `kept`."""
        waiters = self.waiters
        self.running = False
        self.kept = kept
        self.waiters = []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Repeats:
    """Calls that run and answers that are kept, by caller and key.

    Answers stay for `keep_s` from their end, so at least as long from the call's begin; the oldest
    go sooner when there is no room. Calls that run never go: one more is not remembered when there
    are `most_running`, or when they fill `most_bytes` alone. Moments are the loop's, in seconds.
    """

    def __init__(
        self,
        *,
        most_each_bytes: int = 256 * 1024,
        most_bytes: int = 64 * 1024 * 1024,
        keep_s: float = 300.0,
        most_running: int = 10_000,
    ) -> None:
        self.held_bytes = 0  # never above `most_bytes`
        self.running = 0
        self.most_each_bytes = most_each_bytes  # of an answer, as it is sent
        self._most_bytes = most_bytes
        self._keep_s = keep_s
        self._most_running = most_running
        self._calls: dict[bytes, Call] = {}
        # Those of them that are over, oldest first. They leave at the front alone, so none is
        # ever looked for; a dictionary's front, after many have left there, is.
        self._line: deque[Call] = deque()

    def __repr__(self) -> str:
        return f"<Repeats {self.running} running, {len(self._line)} kept, {self.held_bytes} bytes>"

    def begin(
        self, scope: bytes, key: bytes, digest: bytes, now: float
    ) -> tuple[Call, bool] | None:
        """The call of this caller (`scope`) under this key, and whether it is the first.

        The first makes the call, and says `finish` or `fail`. Another appends a waiter while it is
        running, and takes `kept`. None: no room, neither to remember one more call nor for one
        more who waits. Raises Mismatch when the digest is another.
        """
        self.sweep(now)
        name = _name(scope, key)
        call = self._calls.get(name)
        if call is None:
            return self._start(Call(name, digest))
        if call.digest != digest:
            raise Mismatch
        if call.running and not call.make_place():
            return None
        return call, False

    def finish(self, call: Call, kept: Kept | None, now: float, *, keep: bool = True) -> None:
        """The answer for all who wait, and with `keep` those who come later, if not too large.

        None: there is none that could be sent again. A call that is over already stays as it is.
        """
        if not call.running:
            return
        self.running -= 1
        if kept is None or not keep or not self._keep(call, kept, now):
            self._forget(call)
        call.end(kept)

    def fail(self, call: Call) -> None:
        """An error of ours: forgotten. Nothing is done to a call that is over already."""
        self.finish(call, None, 0.0)

    def sweep(self, now: float) -> None:
        """What is too old goes."""
        line = self._line
        while line and line[0].until <= now:
            self._forget(line.popleft())

    def _start(self, call: Call) -> tuple[Call, bool] | None:
        if self.running >= self._most_running or not self._make_room(call.held_bytes):
            return None
        self._calls[call.name] = call
        self.held_bytes += call.held_bytes
        self.running += 1
        return call, True

    def _keep(self, call: Call, kept: Kept, now: float) -> bool:
        if kept.sent_bytes > self.most_each_bytes:
            return False
        answer_bytes = kept.sent_bytes + kept.noted_bytes
        if not self._make_room(answer_bytes):
            return False
        call.held_bytes += answer_bytes
        call.until = now + self._keep_s
        self.held_bytes += answer_bytes
        self._line.append(call)
        return True

    def _make_room(self, wanted_bytes: int) -> bool:
        """The oldest go until there is room, or until only calls that run are left."""
        most_bytes = self._most_bytes - wanted_bytes
        line = self._line
        while line and self.held_bytes > most_bytes:
            self._forget(line.popleft())
        return self.held_bytes <= most_bytes

    def _forget(self, call: Call) -> None:
        del self._calls[call.name]
        self.held_bytes -= call.held_bytes


def _name(scope: bytes, key: bytes) -> bytes:
    """Both in one, so that no other two give the same."""
    name = len(scope).to_bytes(4, "big") + scope + key
    if len(name) <= _LONG_NAME_BYTES:
        return name
    # No name that is not a digest begins so: its scope would be half a gigabyte.
    return b"#" + sha256(name).digest()
