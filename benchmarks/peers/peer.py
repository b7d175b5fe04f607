"""A peer: a proxy that can be measured, and one of them running.

Knows what all of them have in common. Knows none of them.
"""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks import processes
from benchmarks.processes import LOOPBACK, Launch, free_port, listening, proxy_cores


class Front(NamedTuple):
    """How a peer stands towards its callers."""

    tls: bool = False  # 1.3, with the certificate of `certificate`
    routed: bool = False  # `/api/…` and WebSockets at `/ws/…` become the upstream's `/…`; no tools
    workers: int = 1

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"


PLAIN: Final = Front()


class Place(NamedTuple):
    """Where a peer is to run: a folder for its files, its port, and the upstream's addresses."""

    folder: Path
    port: int
    upstream: Sequence[str]  # `host:port`, one for each endpoint
    front: Front = PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way of carrying `/tools/bench.<tool>` to the upstream's `/tools/<tool>`.

    All add a request id, keep connections on both sides, spread calls over the upstream's addresses
    (but for those that say otherwise), and write no access log.
    """

    key: str
    title: str
    colour: str
    apart: str  # what it does or leaves out that the others do not
    missing: Callable[[], str | None]  # why it cannot run here
    version: Callable[[], str]
    launch: Callable[[Place], Launch]
    prepare: Callable[[], None] = lambda: None  # may take minutes
    kin: str = ""  # the peer that this is another setting of


class Running:
    """A peer that listens."""

    def __init__(self, peer: Peer, place: Place, process: subprocess.Popen[bytes]) -> None:
        self.peer = peer
        self.port = place.port
        self._scheme = place.front.scheme
        self._pid = process.pid
        self.idle_bytes = self.resident_bytes()  # when it was new

    def __repr__(self) -> str:
        return f"<Running {self.peer.key} :{self.port}>"

    def url(self, path: str) -> str:
        return f"{self._scheme}://{LOOPBACK[0]}:{self.port}{path}"

    def cpu_s(self) -> float:
        return processes.cpu_s(self._pid)

    def resident_bytes(self) -> int:
        return processes.resident_bytes(self._pid)

    def forget_peak(self) -> None:
        processes.forget_peak(self._pid)

    def peak_bytes(self) -> int:
        return processes.peak_bytes(self._pid)


@contextmanager
def running(
    peer: Peer,
    folder: Path,
    upstream: Sequence[str],
    cores: frozenset[int] | None = None,
    *,
    front: Front = PLAIN,
) -> Iterator[Running]:
    """A peer before this upstream, until the end of the block; on `cores`, or one per worker."""
    folder.mkdir(parents=True)
    place = Place(folder, free_port(), upstream, front)
    if cores is None:
        cores = proxy_cores(front.workers)
    with listening(peer.launch(place), place.port, cores, folder) as process:
        yield Running(peer, place, process)
