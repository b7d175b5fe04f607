"""Messages to and fro over WebSockets, one under way on each. `… PORT PATH BYTES SECONDS`.

A process of its own; writes one line of JSON.
"""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import msgspec
import uvloop

from benchmarks.dropin import frames
from benchmarks.processes import LOOPBACK, UnusableError

CONNECTIONS: Final = 32
_SWITCHED: Final = b"HTTP/1.1 101 "
_PATIENCE_S: Final = 10.0
_PERCENT: Final = 100


class Score(NamedTuple):
    """What came of it."""

    round_trips: int
    failed: int  # connections that were refused, broke off or said something else
    took_s: float
    p50_ms: float
    p99_ms: float


class Player(asyncio.Protocol):
    """One connection, which serves again when the ball is back."""

    _transport: asyncio.Transport

    def __init__(self, path: str, payload_bytes: int) -> None:
        self._opening = frames.opening(path)
        self._serve = frames.message(payload_bytes, masked=True)
        self._expected = frames.message(payload_bytes, masked=False)
        self._heard = b""
        self._sent_at = 0.0
        self._last = False
        loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        self.took_s: list[float] = []

    def __repr__(self) -> str:
        return f"<Player {len(self.took_s)} round trips>"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's, which is none by type
        self._transport.write(self._opening)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if not self.opened.done():
            self._begin()
        elif len(self._heard) >= len(self._expected):
            self._returned()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"the connection broke off: {exc or 'closed'}")

    def play(self) -> None:
        """Serve."""
        self._sent_at = time.perf_counter()
        self._transport.write(self._serve)

    def end(self) -> None:
        """The ball that is under way is the last one."""
        self._last = True

    def leave(self) -> None:
        self._transport.write(frames.close(masked=True))
        self._transport.close()

    def _begin(self) -> None:
        head, end, rest = self._heard.partition(frames.END_OF_HEAD)
        if not end:
            return
        self._heard = rest
        if head.startswith(_SWITCHED):
            self.opened.set_result(None)
        else:
            self._fail(f"no WebSocket: {head.splitlines()[0]!r}")

    def _returned(self) -> None:
        self.took_s.append(time.perf_counter() - self._sent_at)
        good, self._heard = self._heard == self._expected, b""
        if not good:
            self._fail("what came back is not what was sent")
        elif not self._last:
            self.play()
        elif not self.over.done():
            self.over.set_result(None)

    def _fail(self, why: str) -> None:
        for step in (self.opened, self.over):
            if not step.done():
                step.set_exception(OSError(why))
                step.exception()  # somebody may look, nobody must


async def play(port: int, path: str, payload_bytes: int, seconds: float) -> Score:
    """All of them for so long; UnusableError when nobody gets to play."""
    players = [await _connected(port, path, payload_bytes) for _ in range(CONNECTIONS)]
    await asyncio.wait([each.opened for each in players], timeout=_PATIENCE_S)
    able = [each for each in players if each.opened.done() and not each.opened.exception()]
    began = time.perf_counter()
    for each in able:
        each.play()
    await asyncio.sleep(seconds)
    for each in able:
        each.end()
    if able:
        await asyncio.wait([each.over for each in able], timeout=_PATIENCE_S)
    took_s = time.perf_counter() - began
    for each in players:
        each.leave()
    return _score(players, took_s)


async def _connected(port: int, path: str, payload_bytes: int) -> Player:
    loop = asyncio.get_running_loop()
    _, player = await loop.create_connection(lambda: Player(path, payload_bytes), LOOPBACK[0], port)
    return player


def _score(players: Sequence[Player], took_s: float) -> Score:
    times_ms = [each * 1e3 for player in players for each in player.took_s]
    if len(times_ms) < 2:  # noqa: PLR2004 - for quantiles
        whys = {str(each.opened.exception()) for each in players if each.opened.done()}
        raise UnusableError(f"no message came back: {'; '.join(sorted(whys)) or 'silence'}")
    failed = sum(not each.over.done() or each.over.exception() is not None for each in players)
    cuts = statistics.quantiles(times_ms, n=_PERCENT)
    return Score(len(times_ms), failed, took_s, cuts[49], cuts[98])


def played(port: int, path: str, payload_bytes: int, seconds: float) -> Score:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dropin.ping_pong"]
    said = subprocess.run(  # noqa: S603 - our own command
        [*command, str(port), path, str(payload_bytes), str(seconds)],
        capture_output=True,
        check=False,
    )
    if said.returncode:
        raise UnusableError(said.stderr.decode(errors="replace").strip())
    return msgspec.json.decode(said.stdout, type=Score)


def main() -> int:
    port, path, payload_bytes, seconds = sys.argv[1:]
    try:
        score = uvloop.run(play(int(port), path, int(payload_bytes), float(seconds)))
    except (OSError, UnusableError) as error:
        print(error, file=sys.stderr)
        return 1
    print(msgspec.json.encode(score).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
