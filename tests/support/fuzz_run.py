"""One run of the request fuzzer against a real sidecar, and what must be true after it."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

import uvloop

from tests.support.fuzz_callers import Callers
from tests.support.fuzz_messages import seeded
from tests.support.fuzz_origin import FuzzOrigin, Ledger
from tests.support.fuzz_story import BASE
from tests.support.sidecar import NEVER_OPENS, Sidecar, registry, server

GROWTH_BYTES: Final = 8 << 20
LEAST_FORWARDED: Final = 0.3  # of all messages; else the fuzzer proves nothing
_PARTS: Final = 50
_WARM_PARTS: Final = 15  # then pools, caches and free lists are filled
_SETTLED_WITHIN_S: Final = 20.0
_GLANCE_S: Final = 0.05
_CONNECTIONS: Final = re.compile(
    r"^(toolproxy_(?:(?:open|upstream)_connections|queue_depth)(?:{[^}]*})?) (\S+)$", re.MULTILINE
)

# Every limit in time is short: a message that is only half there must not hold a place for long.
SETTINGS: Final = {"limits": {"head_timeout": "2s", "idle": "4s"}}


@dataclass(frozen=True)
class Figures:
    """What a run came to."""

    messages: int
    connections: int
    odd: int
    forwarded: int
    seconds: float
    grown_bytes: int
    statuses: Counter[int]

    def __str__(self) -> str:
        by_status = ", ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items()))
        return (
            f"{self.messages} messages ({self.odd} mutated) on {self.connections} connections in"
            f" {self.seconds:.1f} s, {self.messages / self.seconds:.0f} a second;"
            f" {self.forwarded} forwarded; {self.grown_bytes / (1 << 20):+.1f} MiB; {by_status}"
        )


@contextlib.asynccontextmanager
async def fuzzed_sidecar(directory: Path, port: int, **keys: object) -> AsyncIterator[Sidecar]:
    """A sidecar before an origin of this event loop, on `port`."""
    tools = ["call", "dotted.name", {"name": "own", "method": "GET", "path": "/things/own"}]
    url = f"http://127.0.0.1:{port}{BASE.decode()}"
    # Kept connections die here more often than a budget of retries allows for.
    keys |= {"circuit": NEVER_OPENS, "retry": {"budget": 1}}
    text = registry(server("f", url, tools=tools, passthrough=True, **keys))
    sidecar = await asyncio.to_thread(Sidecar, directory, text, SETTINGS)
    try:
        yield sidecar
    finally:
        await asyncio.to_thread(sidecar.close)


class RequestRun:
    """A sidecar, its origin, and the callers between whom it stands."""

    def __init__(self, seed: int) -> None:
        self._ledger = Ledger()
        self._origin = FuzzOrigin(self._ledger)
        self._chance = seeded(seed)

    async def fuzz(
        self, directory: Path, messages: int, progress: Callable[[int], None]
    ) -> Figures:
        """Send so many messages, and see that nothing is left of them."""
        self._ledger.finds.watch_loop()
        await self._origin.start()
        try:
            async with fuzzed_sidecar(directory, self._origin.port) as sidecar:
                return await self._fuzz(sidecar, messages, progress)
        finally:
            self._origin.stop()

    async def _fuzz(
        self, sidecar: Sidecar, messages: int, progress: Callable[[int], None]
    ) -> Figures:
        await self._ask(sidecar)
        descriptors = self._descriptors(sidecar)
        callers = Callers(sidecar.port, self._ledger, self._chance)
        began_at, warm_bytes = time.monotonic(), 0
        for part in range(1, _PARTS + 1):
            await callers.hold(messages * part // _PARTS)
            progress(callers.messages)
            if part == _WARM_PARTS:
                warm_bytes = sidecar.resident_bytes()
        figures = Figures(
            callers.messages,
            callers.connections,
            callers.odd,
            self._ledger.forwarded,
            time.monotonic() - began_at,
            sidecar.resident_bytes() - warm_bytes,
            callers.statuses,
        )
        self._ledger.finds.check()
        await self._settle(sidecar, descriptors)
        await callers.call_plainly()
        self._ledger.finds.check()
        assert figures.forwarded > LEAST_FORWARDED * figures.messages, figures
        assert figures.grown_bytes < GROWTH_BYTES, figures
        return figures

    async def _settle(self, sidecar: Sidecar, descriptors: int) -> None:
        """Nothing stays open or busy that was opened for a message."""
        ends_at = time.monotonic() + _SETTLED_WITHIN_S
        while left := await self._left(sidecar, descriptors):
            assert time.monotonic() < ends_at, left
            await asyncio.sleep(_GLANCE_S)

    async def _left(self, sidecar: Sidecar, descriptors: int) -> str:
        """What is open that should not be."""
        metrics = (await self._ask(sidecar)).decode()
        connections = {name: float(value) for name, value in _CONNECTIONS.findall(metrics)}
        opened = self._descriptors(sidecar)
        settled = {
            "toolproxy_open_connections": 1,
            'toolproxy_upstream_connections{server="f",state="idle"}': len(self._origin.opened),
            'toolproxy_upstream_connections{server="f",state="busy"}': 0,
            'toolproxy_queue_depth{server="f"}': 0,
        }
        if connections == settled and opened <= descriptors:
            return ""
        return f"{opened} descriptors instead of {descriptors}, {connections} instead of {settled}"

    def _descriptors(self, sidecar: Sidecar) -> int:
        """Without the connections that wait in the pool."""
        return len(list(Path(f"/proc/{sidecar.pid}/fd").iterdir())) - len(self._origin.opened)

    async def _ask(self, sidecar: Sidecar) -> bytes:
        """It answers; what its metrics say."""
        answer = await asyncio.to_thread(sidecar.get, "/metrics")
        assert answer.status == HTTPStatus.OK, answer
        return answer.body


def fuzz_requests(
    directory: Path,
    seed: int,
    messages: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Figures:
    """One run; every find is in the `AssertionError`, and so is the seed."""
    try:
        return uvloop.run(RequestRun(seed).fuzz(directory, messages, progress))
    except AssertionError as failed:
        raise AssertionError(f"seed {seed}: {failed}") from failed
