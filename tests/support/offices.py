"""An office and its workers in one process, over a real Unix socket in a folder of the test's."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from proxy.config.settings import Settings
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules, load
from proxy.workers.crew import Crew
from proxy.workers.post import Post

PATIENCE_S = 10.0
_GLANCE_S = 0.002


def new_registry() -> LiveRegistry:
    return LiveRegistry(LoadRules.of(Settings()), {})


def entries(*names: str) -> str:
    """A registry's text: servers of these names, with one endpoint and one tool each."""
    return "servers:\n" + "".join(
        f"- {{namespace: {name}, name: {name}, endpoints: ['http://10.0.0.1'],"
        " tools: [{name: t}]}\n"
        for name in names
    )


async def take_up(registry: LiveRegistry, *names: str) -> None:
    text = entries(*names).encode()
    await registry.take_up(load(text, "registry.yaml", registry.rules, {}))


async def come_true(fact: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(PATIENCE_S):
        while not fact():  # noqa: ASYNC110 - whatever it is, it has no event
            await asyncio.sleep(_GLANCE_S)


class Worker:
    """A worker's way to the office, and what it knows."""

    def __init__(self, path: str, slot: int) -> None:
        self.registry = new_registry()
        self.post = Post(path, slot, self.registry)
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        for work in (self.post.run(), self.post.follow()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))
        async with asyncio.timeout(PATIENCE_S):
            await self.post.ready.wait()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class Office:
    """What workers connect to; `close` and `open` are the end of one, and the next."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "links")
        self.registry = new_registry()
        self.crew = Crew(self.registry)
        self.workers: list[Worker] = []
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(self.crew.protocol, self.path)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for member in list(self.crew.members.values()):
            member.link.abort()
        await come_true(lambda: not self.crew.members)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # noqa: PTH108 - as this folder's linter wants it of coroutines

    async def worker(
        self, slot: int = 1, prepare: Callable[[Post], object] | None = None
    ) -> Worker:
        """One that has all it needs; `prepare` is what it would have built before."""
        worker = Worker(self.path, slot)
        self.workers.append(worker)
        if prepare is not None:
            prepare(worker.post)
        await worker.begin()
        return worker

    async def dies(self, worker: Worker) -> None:
        """Without a word."""
        self.workers.remove(worker)
        await worker.end()
        await come_true(lambda: len(self.crew.members) == len(self.workers))


@contextlib.asynccontextmanager
async def office_in(folder: Path) -> AsyncIterator[Office]:
    office = Office(folder)
    await office.open()
    try:
        yield office
    finally:
        for worker in office.workers:
            await worker.end()
        await office.close()
