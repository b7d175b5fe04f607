"""What an upstream process saw, read from the file in which it wrote that down.

Calls are all requests but probes; connections are all that brought a call.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

_FOREVER: Final = float("inf")
_PROBED: Final = "/health"


@dataclass
class SeenCall:
    """One request: from its head to the end of what was done to it."""

    call: str
    method: str
    target: str
    began_at: float
    ended_at: float = _FOREVER
    answered: bool = False

    def overlaps(self, other: "SeenCall") -> bool:
        return self.began_at < other.ended_at and other.began_at < self.ended_at


@dataclass
class SeenConnection:
    """One connection, from when it was accepted."""

    opened_at: float
    requests: list[SeenCall] = field(default_factory=list)
    received_bytes: int = 0
    closed_at: float = _FOREVER

    @property
    def calls(self) -> list[SeenCall]:
        return [request for request in self.requests if request.target != _PROBED]


class Sightings:
    """Everything that one upstream saw, in all its lives."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self._connections: dict[str, SeenConnection] = {}

    def __repr__(self) -> str:
        return f"<Sightings {self._path.stem}: {len(self.calls)} calls>"

    @property
    def connections(self) -> Sequence[SeenConnection]:
        self._read_on()
        return [each for each in self._connections.values() if each.calls]

    @property
    def open_connections(self) -> Sequence[SeenConnection]:
        return [each for each in self.connections if each.closed_at == _FOREVER]

    @property
    def calls(self) -> Sequence[SeenCall]:
        """In the order in which they came."""
        found = [request for each in self.connections for request in each.calls]
        return sorted(found, key=lambda request: request.began_at)

    @property
    def received_bytes(self) -> int:
        """All that came on connections that brought a call."""
        return sum(each.received_bytes for each in self.connections)

    def _read_on(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._read_bytes)
            for line in file:
                if not line.endswith(b"\n"):  # it is being written
                    break
                self._read_bytes += len(line)
                self._take(orjson.loads(line))

    def _take(self, event: list[object]) -> None:
        match event:
            case [float(at), "opened", str(name)]:
                self._connections[name] = SeenConnection(at)
            case [float(), "received", str(name), int(size_bytes)]:
                self._connections[name].received_bytes += size_bytes
            case [float(at), "request", str(name), str(call), str(method), str(target)]:
                seen = SeenCall(call, method, target, at)
                self._connections[name].requests.append(seen)
            case [float(at), "answered", str(name)]:
                answered = self._connections[name].requests[-1]
                answered.ended_at, answered.answered = at, True
            case [float(at), "closed", str(name)]:
                _close(self._connections[name], at)
            case [float(at), "died", str(process)]:
                for name, connection in self._connections.items():
                    if name.startswith(f"{process}-"):
                        _close(connection, at)
            case _:
                raise AssertionError(f"no such event: {event}")


def times_seen(seen: Iterable[Sightings]) -> Counter[str]:
    """How often each call reached any of these."""
    return Counter(each.call for sightings in seen for each in sightings.calls)


def most_at_once(spans: Iterable[tuple[float, float]]) -> int:
    """How many of these spans of time lay over each other at the worst moment."""
    changes = sorted(change for began, ended in spans for change in ((began, 1), (ended, -1)))
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


def _close(connection: SeenConnection, at: float) -> None:
    connection.closed_at = min(connection.closed_at, at)
    for request in connection.requests:
        request.ended_at = min(request.ended_at, at)
