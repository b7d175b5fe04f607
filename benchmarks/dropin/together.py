"""Promises about two workers that pass for one: what they count, tell and admit together."""

import contextlib
import re
import socket
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks import upstreams
from benchmarks.dropin import whole
from benchmarks.dropin.whole import Caller, Whole
from benchmarks.processes import LOOPBACK
from benchmarks.sse.messages import Messages, opening, subscription

RATE_PER_S: Final = 100
_CALLERS: Final = 32
_CALLS_EACH: Final = 20
_SCRAPES: Final = 8
_SETTLED_WITHIN_S: Final = 2.0
_GLANCE_S: Final = 0.05
_BURST_S: Final = 1.5  # what a new limit admits at once is not its rate
_COUNTED_S: Final = 4.0
_PIECE_BYTES: Final = 64 * 1024
_WORKERS: Final = f"workers: {whole.WORKERS}"
_CALLS_TOTAL: Final = re.compile(r"^toolproxy_calls_total\{[^}]*\} (\S+)", re.MULTILINE)


def calls_miscounted(home: Path, folder: Path) -> list[float]:
    """By how many calls `/metrics` is wrong, asked several times by new connections."""
    with contextlib.ExitStack() as until:
        it = _started(home, folder, until)
        made = _call_all(whole.callers_of_all(it, _CALLERS, until))
        return [_settled(it.port, made) for _ in range(_SCRAPES)]


def events_missed(home: Path, folder: Path) -> list[float]:
    """Events too few or too many at one subscriber, of calls that all workers carry."""
    with contextlib.ExitStack() as until:
        it = _started(home, folder, until)
        seat = until.enter_context(socket.create_connection((LOOPBACK[0], it.port)))
        seat.settimeout(_SETTLED_WITHIN_S)
        seat.sendall(subscription("/events?types=tool_invoked"))
        heard = _Heard(seat)
        made = _call_all(whole.callers_of_all(it, _CALLERS, until))
        return [abs(made - heard.count_to(made + 1))]


def rate_missed_percent(home: Path, folder: Path) -> list[float]:
    """By how much more or less is admitted than the server's rate says."""
    with contextlib.ExitStack() as until:
        it = _started(home, folder, until, f"rate: {RATE_PER_S}/s")
        callers = whole.callers_of_all(it, _CALLERS, until)
        _admitted(callers, _BURST_S)
        per_s = _admitted(callers, _COUNTED_S) / _COUNTED_S
        return [abs(per_s / RATE_PER_S - 1) * 100]


class _Heard:
    """What one subscriber hears."""

    def __init__(self, seat: socket.socket) -> None:
        self._seat = seat
        octets = b""
        while (begun := opening(octets)) is None:
            octets += self._piece()
        self._messages = Messages(chunked=begun.chunked)
        self._first = begun.rest

    def __repr__(self) -> str:
        return f"<_Heard {self._messages!r}>"

    def count_to(self, enough: int) -> int:
        """Calls that were told of, until so many have been, or silence."""
        count = 0
        piece = self._first
        with contextlib.suppress(TimeoutError):
            while count < enough:
                count += sum(each.event == b"tool_invoked" for each in self._messages.take(piece))
                piece = self._piece()
        return count

    def _piece(self) -> bytes:
        piece = self._seat.recv(_PIECE_BYTES)
        if not piece:
            raise OSError("the stream of events ended")
        return piece


def _started(home: Path, folder: Path, until: contextlib.ExitStack, *server_keys: str) -> Whole:
    (folder / "upstream").mkdir()
    upstream = until.enter_context(upstreams.answers(folder / "upstream"))
    running = whole.running(home, folder, upstream, _WORKERS, server_keys=server_keys)
    return until.enter_context(running)


def _call_all(callers: Sequence[Caller]) -> int:
    """How many calls they have made with these."""
    for _ in range(_CALLS_EACH):
        for each in callers:
            each.call()
    return (1 + _CALLS_EACH) * len(callers)  # one each when they came


def _admitted(callers: Sequence[Caller], seconds: float) -> int:
    """How many calls are let in, when there are always more."""
    ends_at = time.monotonic() + seconds
    admitted = 0
    while time.monotonic() < ends_at:
        admitted += sum(each.call() for each in callers)
    return admitted


def _settled(port: int, made: int) -> float:
    """The difference that stays."""
    ends_at = time.monotonic() + _SETTLED_WITHIN_S
    while (wrong := abs(_counted(port) - made)) and time.monotonic() < ends_at:
        time.sleep(_GLANCE_S)
    return wrong


def _counted(port: int) -> float:
    with urllib.request.urlopen(f"http://{LOOPBACK[0]}:{port}/metrics") as answer:
        return sum(map(float, _CALLS_TOTAL.findall(answer.read().decode())))
