"""Names that move: what does each name of the registry stand for now?

Asked every few seconds, and when a call fails; off the loop, with the last good answer kept. Knows
nothing of connections; what a new answer changes is for each cluster to say.
"""

import asyncio
import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Callable
from random import uniform
from typing import Final, NamedTuple

from proxy.registry.address import is_denied_ip
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.snapshot import Snapshot

_LOG = logging.getLogger("toolproxy.names")
_EVERY_S: Final = 5.0
_JITTER: Final = 0.1
_APART_S: Final = 0.5  # at least, however many calls fail
_THREADS: Final = 8

Ips = tuple[str, ...]
LookUp = Callable[[str], Ips]


class Names:
    """Keeps one task per name of the current snapshot; `moved` hears of endpoints that are gone."""

    def __init__(
        self, deny: Callable[[], tuple[str, ...]], moved: Callable[[list[Endpoint]], None]
    ) -> None:
        self._deny = deny
        self._moved = moved
        self._loop = asyncio.get_running_loop()
        self._snapshot = Snapshot()
        self._clusters: dict[str, list[Cluster]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._asked: dict[str, asyncio.Event] = {}  # set: a call failed, look again
        self._last: dict[str, _Asked] = {}
        self._askers = _Askers()

    def __repr__(self) -> str:
        return f"<Names {len(self._tasks)}>"

    def follow(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        """A new snapshot is in force, or endpoints have come and gone."""
        del removed
        if snapshot is self._snapshot:
            return
        self._snapshot = snapshot
        clusters: dict[str, list[Cluster]] = {}
        for server in snapshot.servers.values():
            for name in server.cluster.names:
                clusters.setdefault(name, []).append(server.cluster)
        self._clusters = clusters
        for name in self._tasks.keys() - clusters.keys():
            self._tasks.pop(name).cancel()
            del self._asked[name]
            self._last.pop(name, None)
        for name in clusters:
            if name in self._tasks:
                self._asked[name].set()  # a new server may use what another has used before
            else:
                self._asked[name] = asyncio.Event()
                self._tasks[name] = self._loop.create_task(self._keep_asking(name))

    def doubted(self, endpoint: Endpoint) -> None:
        """A call failed there: perhaps the name stands for something else by now."""
        asked = self._asked.get(endpoint.address.host)
        if asked is not None:
            asked.set()

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._askers.stop()

    async def resolve(self, name: str) -> Ips:
        """What the name stands for, never nothing; raises OSError.

        Of one family, that which the system would try first: the same machine by both its addresses
        is not two endpoints.
        """
        asked = self._last.get(name)
        if asked is None or not asked.is_recent(self._loop.time()):
            asked = self._last[name] = _Asked(self._loop.create_future(), self._loop.time())
            self._askers.ask(name, self._loop, asked.answer)
        ips = await asyncio.shield(asked.answer)
        allowed = tuple(ip for ip in ips if not is_denied_ip(ip, self._deny()))
        if not allowed:
            raise PermissionError(1, "what the name stands for is in upstreams.deny")
        return allowed

    async def _keep_asking(self, name: str) -> None:
        asked, failing = self._asked[name], False
        while True:
            asked.clear()
            try:
                self._take_up(name, await self.resolve(name))
                failing = False
            except PermissionError as error:
                self._take_up(name, ())
                _LOG.warning("%s is not used: %s", name, error.strerror)
            except OSError as error:
                if not failing:
                    _LOG.warning("%s can't be resolved: %s", name, error.strerror or error)
                failing = True
            await asyncio.sleep(_APART_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_EVERY_S * uniform(1 - _JITTER, 1 + _JITTER) - _APART_S):  # noqa: S311 - hides nothing
                    await asked.wait()

    def _take_up(self, name: str, ips: Ips) -> None:
        now = self._loop.time()
        changed, removed = False, list[Endpoint]()
        for cluster in self._clusters[name]:
            before = cluster.endpoints
            removed += cluster.resolved(name, ips, now)
            changed = changed or cluster.endpoints is not before
        if changed:
            _LOG.info("%s stands for %s", name, ", ".join(ips))
            self._moved(removed)


class _Asked(NamedTuple):
    """A look-up: its answer, which all who ask at the same time share."""

    answer: asyncio.Future[Ips]
    asked_at: float

    def is_recent(self, now: float) -> bool:
        return not self.answer.done() or now - self.asked_at < _APART_S


class _Askers:
    """Threads that wait for resolvers; daemons, so that one that hangs never holds up an exit."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[
            tuple[str, asyncio.AbstractEventLoop, asyncio.Future[Ips]] | None
        ] = queue.SimpleQueue()
        self._threads = 0

    def ask(
        self, name: str, loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[Ips]"
    ) -> None:
        if self._threads < _THREADS:
            self._threads += 1
            threading.Thread(target=self._work, name="resolver", daemon=True).start()
        self._asked.put((name, loop, answer))

    def stop(self) -> None:
        for _ in range(self._threads):
            self._asked.put(None)

    def _work(self) -> None:
        while (wanted := self._asked.get()) is not None:
            name, loop, answer = wanted
            outcome: Ips | OSError
            try:
                outcome = look_up(name)
            except (OSError, UnicodeError) as error:  # the second: no name that DNS could know
                outcome = error if isinstance(error, OSError) else OSError(22, "not a name")
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_tell, answer, outcome)


def look_up(name: str) -> Ips:
    """Ask the system; blocks. Sorted, so that the same answer in another order is the same."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    first_family = found[0][0]
    return tuple(sorted({str(each[4][0]) for each in found if each[0] == first_family}))


def _tell(answer: "asyncio.Future[Ips]", outcome: Ips | OSError) -> None:
    if answer.done():
        return
    if isinstance(outcome, OSError):
        answer.set_exception(outcome)
        answer.exception()  # seen, if nobody waits any more
    else:
        answer.set_result(outcome)
