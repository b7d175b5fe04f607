"""Names without a resolver: what each stands for is said by the test."""

import asyncio
import threading
from collections.abc import Callable

from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint
from proxy.registry.names import Names
from proxy.registry.snapshot import Snapshot
from tests.support.successor import successor
from tests.support.witness import Heard

Answer = tuple[str, ...] | OSError


class Resolver:
    """The system's resolver, as a test has it: by name what it says, or that it hangs."""

    def __init__(self) -> None:
        self.says: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.hanging: set[str] = set()
        self.released = threading.Event()

    def __call__(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        if name in self.hanging:
            self.released.wait(30)
        answer = self.says.get(name, OSError(-2, "Name or service not known"))
        if isinstance(answer, OSError):
            raise answer
        return answer


class Registry:
    """A registry of one server whose names are followed."""

    def __init__(self) -> None:
        self.deny: tuple[str, ...] = ()
        self.gone: list[str] = []
        self.moves = 0
        self.names = Names(lambda: self.deny, self._moved)
        self.current = Snapshot()

    def _moved(self, removed: list[Endpoint]) -> None:
        self.moves += 1
        self.gone += [each.url for each in removed]
        self.names.follow(self.current, removed)  # as the one that runs does

    def says(self, server: str, others: str = "") -> Cluster:
        self.current, removed = successor(self.current, Heard(), server, others)
        self.names.follow(self.current, removed)
        return self.current.servers[b"o"].cluster


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not fact():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0.001)
