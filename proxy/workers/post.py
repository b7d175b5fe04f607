"""The office, as a worker sees it: connected to again whenever the connection is lost.

Takes up the registry that it sends. Knows nothing of what else is said: see `hears`.
"""

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Any, Final

from proxy.generations.frames import Assembly
from proxy.registry.hearsay import Fact, Hearsay, all_of
from proxy.registry.live import LiveRegistry
from proxy.registry.load import Loaded
from proxy.workers.link import AwayError, Hears, Link
from proxy.workers.words import FACT, FRAME, HELLO, POSTED

_LOG = logging.getLogger("toolproxy.workers")
_AGAIN_S: Final = 0.05


class Post:
    """A worker's way to the office."""

    def __init__(self, path: str, slot: int, registry: LiveRegistry) -> None:
        self.hears: dict[str, Hears] = {FRAME: self._frame, FACT: self._fact, POSTED: self._posted}
        self.on_connect: list[Callable[[], None]] = []  # who has to tell each new office something
        self.dropped = 0
        self._path = path
        self._slot = slot
        self._registry = registry
        self._hearsay = registry.hearsay = Hearsay(self._tell_fact)
        self._link: Link | None = None
        self._assembly = Assembly()
        self._newest: Loaded | None = None
        self._building = False
        self._facts: list[Fact] = []  # of servers of a registry that is still being built
        self._is_posted = False
        self.ready = asyncio.Event()  # the office has said all that there is
        self._changed = asyncio.Event()
        self._lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<Post {'connected' if self._link else 'away'}>"

    def tell(self, kind: str, *content: object) -> bool:
        """Say something to the office; False when it is lost."""
        if self._link is None:
            self.dropped += 1
            return False
        return self._link.tell(kind, *content)

    async def ask(self, kind: str, *content: object, within_s: float | None = 1.0) -> Any:
        """Ask the office; raises `AwayError`."""
        if self._link is None:
            raise AwayError("the office is away")
        return await self._link.ask(kind, *content, within_s=within_s)

    async def run(self) -> None:
        """Stay connected, until cancelled."""
        try:
            while True:
                await self._connect()
                await self._lost.wait()
                self._link = None
                _LOG.warning("The office is away; calls go on with what is known")
        finally:
            if self._link is not None:
                self._link.close()

    async def follow(self) -> None:
        """Take up each registry that has come, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            loaded, self._newest = self._newest, None
            if loaded is not None:
                await self._take_up(loaded)
            if self._is_posted:
                self.ready.set()

    async def _take_up(self, loaded: Loaded) -> None:
        self._building = True
        try:
            if self._registry.current.generation:
                await self._registry.take_up(loaded)
            else:
                self._registry.take_first(loaded)
        except Exception:  # noqa: BLE001 - the next registry may be better; until then this one stays
            _LOG.exception("A bug of ours in taking up a registry")
        finally:
            self._building = False
        facts, self._facts = self._facts, []
        for fact in facts:
            self._hearsay.hear(self._registry.current, fact)

    async def _connect(self) -> None:
        while True:
            self._lost.clear()
            link = Link(self.hears, lambda _: self._lost.set())
            try:
                await self._loop.create_unix_connection(lambda: link, self._path)  # noqa: B023 - awaited here
            except OSError:
                await asyncio.sleep(_AGAIN_S)
                continue
            self._assembly = Assembly()
            self._link = link
            link.tell(HELLO, self._slot, os.getpid())
            for fact in all_of(self._registry.current):
                link.tell(FACT, fact)  # a new office knows of no open circuit
            for tell in self.on_connect:
                tell()
            return

    def _tell_fact(self, fact: Fact) -> None:
        self.tell(FACT, fact)

    def _frame(self, link: Link, frame: bytes) -> None:
        try:
            candidate = self._assembly.add(frame)
        except Exception:
            link.abort()  # a registry that lacks a piece is none: all of it comes again
            raise
        if candidate is not None:
            self._assembly = Assembly()
            self._newest = candidate.loaded
            self._changed.set()

    def _fact(self, _: Link, fact: Fact) -> None:
        if self._building or self._newest:
            self._facts.append(fact)  # of the table that is about to be
        else:
            self._hearsay.hear(self._registry.current, fact)

    def _posted(self, _: Link) -> None:
        self._is_posted = True
        self._changed.set()
