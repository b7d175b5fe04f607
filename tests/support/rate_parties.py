"""Sidecars that count together, those who call through them, and a Redis that is none."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from proxy.admission.rates import Limit
from proxy.admission.shared_rates import SharedRates
from proxy.config.units import Rate
from proxy.errors import RateLimitedError
from tests.support.bus_party import until
from tests.support.redis_server import RedisServer

_PATIENT_S: Final = 20.0  # where it is not the time that is examined
TWENTY_PER_HOUR: Final = Rate(20.0, 3600)  # none comes back while a test lasts
CALLER: Final = Limit("caller:ci", "caller", TWENTY_PER_HOUR)
TOOL: Final = Limit("tool:manifest.read", "tool", Rate(3.0, 3600))


@contextlib.asynccontextmanager
async def running(url: str, *, within_s: float = _PATIENT_S) -> AsyncIterator[SharedRates]:
    rates = SharedRates(url, within_s=within_s)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(rates.run())
        try:
            yield rates
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def connected(redis: RedisServer) -> AsyncIterator[SharedRates]:
    async with running(redis.url) as rates:
        await until(lambda: not rates.problem)
        yield rates


@contextlib.asynccontextmanager
async def fake_redis(*answers: bytes) -> AsyncIterator[tuple[str, list[float]]]:
    """Gives each connection these answers and hangs up; and when there were connections."""
    came_at: list[float] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came_at.append(time.monotonic())
        for answer in answers:
            await reader.read(1 << 16)
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", came_at


async def goes(rates: SharedRates, *limits: Limit) -> bool:
    try:
        await rates.take(limits, asyncio.get_running_loop().time())
    except RateLimitedError:
        return False
    return True


async def admitted(rates: SharedRates, *limits: Limit, of: int = 30) -> int:
    """How many come through of so many who come at once."""
    return sum(await asyncio.gather(*(goes(rates, *limits) for _ in range(of))))
