"""Active probes: ask every endpoint, on its own schedule, how it is.

Own connections, own time limit, all concurrent: one that hangs delays nobody. What an answer means
is decided in `policy.health`. Knows nothing of calls.
"""

import asyncio
import logging
from collections.abc import Iterable
from random import uniform
from typing import Final

import aiohttp

from proxy.descriptors import is_shortage
from proxy.policy.health import Verdict, probe_verdict
from proxy.registry.snapshot import Endpoint, Snapshot
from proxy.registry.tls import TlsContexts

_LOG = logging.getLogger("toolproxy.health")
_JITTER: Final = 0.1
# Endpoints that came together are not probed together, first or later: a probe costs 0.3 ms.
_FIRST_WITHIN_S: Final = 0.05
_APART_S: Final = 0.002
_LATE_S: Final = 0.1


class Prober:
    """Keeps one task per endpoint of the current snapshot."""

    def __init__(self, default_interval_s: float, tls: TlsContexts) -> None:
        self.default_interval_s = default_interval_s
        self._tls = tls
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}

    def follow(self, snapshot: Snapshot, removed: Iterable[Endpoint]) -> None:
        """A new snapshot is in force: probe what is new, leave what is gone."""
        for endpoint in removed:
            task = self._tasks.pop(endpoint, None)
            if task is not None:
                task.cancel()
        new = [endpoint for endpoint in snapshot.endpoints() if endpoint not in self._tasks]
        spread_s = min(max(_FIRST_WITHIN_S, _APART_S * len(new)), self.default_interval_s)
        for endpoint in new:
            asking = self._keep_asking(endpoint, uniform(0, spread_s))  # noqa: S311 - hides nothing
            self._tasks[endpoint] = self._loop.create_task(asking)

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_asking(self, endpoint: Endpoint, first_after_s: float) -> None:
        await asyncio.sleep(first_after_s)
        while True:
            await self._ask_and_count(endpoint)
            await asyncio.sleep(self._pause_s(endpoint))

    def _pause_s(self, endpoint: Endpoint) -> float:
        """Sooner while a verdict is in doubt or bad; never all at once."""
        check = endpoint.server.health
        calm_s = check.interval_s if check.interval_s is not None else self.default_interval_s
        pause_s = calm_s if endpoint.health.settled else min(check.fast_interval_s, calm_s)
        return pause_s * uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - as above

    async def _ask_and_count(self, endpoint: Endpoint) -> None:
        check = endpoint.server.health
        verdict, reason = await self._ask(endpoint)
        changed = endpoint.health.probed(
            verdict,
            reason,
            self._loop.time(),
            healthy_after=check.healthy_after,
            unhealthy_after=check.unhealthy_after,
        )
        if changed:
            _LOG.info(
                "%s %s: %s, %s", endpoint.namespace, endpoint.address.url, verdict.value, reason
            )

    async def _ask(self, endpoint: Endpoint) -> tuple[Verdict, str]:
        """One probe; again at once when it timed out while our own loop was late."""
        check = endpoint.server.health
        while True:
            began = self._loop.time()
            try:
                async with asyncio.timeout(check.timeout_s):
                    return probe_verdict(await self._status(endpoint), check.expect)
            except TimeoutError:
                if self._loop.time() - began <= check.timeout_s + _LATE_S:
                    return Verdict.UNREACHABLE, f"no answer to the probe in {check.timeout_s:g} s"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if is_shortage(error):  # says nothing of the endpoint
                    await asyncio.sleep(check.fast_interval_s)
                    continue
                return Verdict.UNREACHABLE, f"the probe failed: {type(error).__name__}"

    async def _status(self, endpoint: Endpoint) -> int:
        server, address = endpoint.server, endpoint.address
        connector: aiohttp.BaseConnector
        if address.scheme == "unix" and server.health_url is None:
            connector = aiohttp.UnixConnector(path=address.socket)
        else:
            connector = aiohttp.TCPConnector(force_close=True)
        url = server.health_url or probe_url(endpoint)
        tls = await self._tls.of(server.tls) if url.startswith("https:") else True
        async with (
            aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
            session.request(
                server.health.method,
                url,
                allow_redirects=False,
                ssl=tls,
                server_hostname=server.tls.server_name if server.tls else None,
            ) as answer,
        ):
            return answer.status


def probe_url(endpoint: Endpoint) -> str:
    """Where an endpoint is asked when the server names no `health_url`."""
    address, path = endpoint.address, endpoint.server.health.path
    if address.scheme == "unix":
        return f"http://{endpoint.server.name}{address.base}{path}"
    return f"{address.url}{path}"
