"""Active probes: ask every endpoint, on its own schedule, how it is.

Own connections, own time limit, all concurrent: one that hangs delays nobody. What an answer means
is decided in `policy.health`. Knows nothing of calls.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from random import uniform
from typing import Final, NamedTuple

import aiohttp

from proxy.descriptors import is_shortage
from proxy.policy.health import Verdict, probe_verdict
from proxy.registry.address import is_name
from proxy.registry.cluster import Cluster
from proxy.registry.endpoint import Endpoint, url_of
from proxy.registry.snapshot import Snapshot
from proxy.registry.tls import TlsContexts

_JITTER: Final = 0.1
_LOOK_S: Final = 1.0
# Endpoints that came together are not probed together, first or later: a probe costs 0.3 ms.
_FIRST_WITHIN_S: Final = 0.05
_APART_S: Final = 0.002


class Around(NamedTuple):
    """What probes need of the rest of the sidecar."""

    tls: TlsContexts
    resolve: Callable[[str], Awaitable[tuple[str, ...]]]  # raises OSError
    late_at: Callable[[], float]  # when our own loop was late last, by its own time


class Prober:
    """Keeps one task per endpoint of the current snapshot."""

    def __init__(self, default_interval_s: float, around: Around) -> None:
        self.default_interval_s = default_interval_s
        self._around = around
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._doubts: dict[Endpoint, asyncio.Event] = {}  # set: a call failed there

    def follow(self, snapshot: Snapshot, removed: Iterable[Endpoint]) -> None:
        """Endpoints have come or gone: probe what is new, leave what is gone."""
        for endpoint in removed:
            task = self._tasks.pop(endpoint, None)
            if task is not None:
                task.cancel()
                del self._doubts[endpoint]
        new = [
            (server.cluster, endpoint)
            for server in snapshot.servers.values()
            for endpoint in server.cluster.endpoints
            if endpoint not in self._tasks
        ]
        spread_s = min(max(_FIRST_WITHIN_S, _APART_S * len(new)), self.default_interval_s)
        for cluster, endpoint in new:
            self._doubts[endpoint] = asyncio.Event()
            asking = self._keep_asking(cluster, endpoint, uniform(0, spread_s))  # noqa: S311 - hides nothing
            self._tasks[endpoint] = self._loop.create_task(asking)

    def doubted(self, endpoint: Endpoint) -> None:
        """A call failed there: ask sooner."""
        doubt = self._doubts.get(endpoint)
        if doubt is not None:
            doubt.set()

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep_asking(
        self, cluster: Cluster, endpoint: Endpoint, first_after_s: float
    ) -> None:
        doubt = self._doubts[endpoint]
        await asyncio.sleep(first_after_s)
        while True:
            if not endpoint.server.health.active:  # which a reload may change
                await asyncio.sleep(_LOOK_S)
                continue
            verdict, reason = await self._ask(endpoint)
            cluster.probed(endpoint, verdict, reason, self._loop.time())
            doubt.clear()
            soon_s, calm_s = self._pauses_s(endpoint)
            await asyncio.sleep(soon_s)
            if endpoint.settled:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(calm_s - soon_s):
                        await doubt.wait()

    def _pauses_s(self, endpoint: Endpoint) -> tuple[float, float]:
        """How soon to ask again while a verdict is in doubt or bad, and how soon otherwise."""
        check = endpoint.server.health
        calm_s = check.interval_s if check.interval_s is not None else self.default_interval_s
        jitter = uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - as above
        return min(check.fast_interval_s, calm_s) * jitter, calm_s * jitter

    async def _ask(self, endpoint: Endpoint) -> tuple[Verdict, str]:
        """One probe; again at once when it timed out while our own loop was late."""
        check = endpoint.server.health
        while True:
            began = self._loop.time()
            try:
                async with asyncio.timeout(check.timeout_s):
                    return probe_verdict(await self._status(endpoint), check.expect)
            except TimeoutError:
                if self._around.late_at() < began:  # else it may have been us
                    return Verdict.UNREACHABLE, f"no answer to the probe in {check.timeout_s:g} s"
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if is_shortage(error):  # says nothing of the endpoint
                    await asyncio.sleep(check.fast_interval_s)
                    continue
                return Verdict.UNREACHABLE, f"the probe failed: {type(error).__name__}"

    async def _status(self, endpoint: Endpoint) -> int:
        server, address = endpoint.server, endpoint.address
        url, host = server.health_url, ""
        connector: aiohttp.BaseConnector
        if address.scheme == "unix" and url is None:
            connector = aiohttp.UnixConnector(path=address.socket)
        else:
            connector = aiohttp.TCPConnector(force_close=True)
        if url is None:
            ip = endpoint.ip
            if not ip and is_name(address):
                ip = (await self._around.resolve(address.host))[0]
            url = probe_url(endpoint, ip)
            host = endpoint.host.decode() if ip else ""
        tls = await self._around.tls.of(server.tls) if url.startswith("https:") else True
        name = (server.tls and server.tls.server_name) or (address.host if host else None)
        async with (
            aiohttp.ClientSession(connector=connector, auto_decompress=False) as session,
            session.request(
                server.health.method,
                url,
                allow_redirects=False,
                ssl=tls,
                headers={"Host": host} if host else None,
                server_hostname=name if tls is not True else None,
            ) as answer,
        ):
            return answer.status


def probe_url(endpoint: Endpoint, ip: str) -> str:
    """Where an endpoint is asked when the server names no `health_url`."""
    address, path = endpoint.address, endpoint.server.health.path
    if address.scheme == "unix":
        return f"http://{endpoint.server.name}{address.base}{path}"
    return f"{url_of(address, ip)}{path}"
