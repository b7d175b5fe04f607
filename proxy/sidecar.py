"""The composition root: build everything, listen, reload, drain, stop.

The only file that sees both planes, the registry and the settings. Decides nothing about a call.
"""

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from aiohttp import web

from proxy import terms
from proxy.admission.stage import Admission, AdmissionError
from proxy.config.sections import Listen
from proxy.config.settings import Settings, SettingsError
from proxy.control_plane.app import Surfaces, application
from proxy.control_plane.bridge import Bridge
from proxy.control_plane.prober import Around, Prober
from proxy.control_plane.visitors import Audience
from proxy.data_plane.door import Door, Entry
from proxy.data_plane.pool import Means, Pools
from proxy.data_plane.roles import Plane, Rules
from proxy.descriptors import raise_limit
from proxy.gauges import gauges
from proxy.generations.registrar import Registrar
from proxy.generations.sources import source_of
from proxy.generations.starting import UnguardedError, archive_for, start
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules
from proxy.registry.names import Names
from proxy.registry.snapshot import Snapshot
from proxy.registry.tls import TlsContexts
from proxy.reporting import Reporting
from proxy.wire.trace import sampling_bound

_LOG = logging.getLogger("toolproxy")
_BACKLOG: Final = 1024
# A collection walks what start-up made and nobody will free: seen as p99. Rarer, and without that.
_GC_THRESHOLD: Final = 20_000
_NO_LIMIT: Final = 1 << 30
_FORGET_EVERY_S: Final = 5.0
_SETTLES_WITHIN_S: Final = 5.0  # a generation that is in force by now, and not yet kept


class CannotListenError(Exception):
    """The address can't be had."""


class Sidecar:
    """One running sidecar. `start`, then `stopped` until a signal ends it."""

    def __init__(
        self, settings: Settings, reread: Callable[[], Settings], environ: Mapping[str, str]
    ) -> None:
        """Raises `ReportingError`, `AdmissionError` and `SourceError`."""
        self.settings = settings
        self._reread = reread
        self._environ = environ
        self._loop = asyncio.get_running_loop()
        self._stop: asyncio.Future[None] = self._loop.create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        # Names this process in Via: only our own mark must ever be taken for a loop.
        instance = f"toolproxy-{secrets.token_hex(4)}"
        self.reporting = Reporting(settings, instance, self._own)
        self._admission = Admission(settings, environ)
        self.metrics, self.hub = self.reporting.metrics, self.reporting.hub
        self.registry = LiveRegistry(LoadRules.of(settings), environ, self.hub.tell)
        self.registrar = Registrar(
            self.registry, source_of(settings.registry), settings.registry, self.hub.tell
        )
        self._tls = TlsContexts()
        self._names = Names(lambda: self.registry.rules.deny, self.registry.endpoints_moved)
        self._pools = Pools(Means(terms.heads(settings), self._tls, self._names.resolve))
        self._plane = Plane(
            instance,
            self.registry,
            self._pools,
            self.reporting.calls.publish,
            self.reporting.refusals.publish,
        )
        if settings.tracing.otlp:
            self._plane.sampled_below = sampling_bound(settings.tracing.sample)
        self._surfaces = Surfaces(
            self.registry,
            self.registrar,
            self.metrics,
            self.hub,
            lambda: self.reporting.kept,
            self._problems,
            instance,
            lambda: self._draining,
            lambda: self._plane.cors,
            lambda: self._admission,
            lambda: self.settings,
            self._tls,
        )
        self._prober = Prober(
            settings.health_check_interval_s,
            Around(self._tls, self._names.resolve, lambda: self._plane.late_at),
        )
        self._descriptors = raise_limit()
        self._runners: list[web.AppRunner] = []
        self._door: Door | None = None
        self._servers: list[asyncio.AbstractServer] = []

    # --- start ---

    async def start(self) -> str:
        """Load, build, listen; the address that callers can use.

        Raises `RegistryRejectedError`, `UnguardedError` and `CannotListenError`.
        """
        self.registry.listen(self._registry_changed, self._prober.doubted)
        self.registry.listen(self._names.follow, self._names.doubted)
        self.reporting.apply(self.settings)
        archive = await archive_for(self.settings.registry)
        self.registrar.follow(self.settings.registry, archive)
        await start(self.registrar, self._environ)
        apart = self.settings.admin is not None
        bridge = await self._bridge(Audience.EVERYBODY_ELSE if apart else Audience.EVERYBODY)
        door = Door(self._plane, bridge, Rules(), Entry())  # settings come with `_apply`
        if apart:
            door.operators = await self._bridge(Audience.OPERATORS)
        self._door = door
        self._apply(self.settings, self._admission)
        for gauge in gauges(door, self._pools, self.registrar, self.reporting):
            self.metrics.add(gauge)
        address = await self._listen("listen", self.settings.listen, door.protocol)
        if self.settings.admin is not None:
            place = await self._listen("admin", self.settings.admin, door.operators_protocol)
            _LOG.info("operators on %s", place)
        door.start()
        self.reporting.start()
        self._own(self.registrar.source.watch(self.registrar.refresh))
        self._own(self._forget_callers())
        self._admission.start()
        self.hub.tell("gateway_started", {"message": f"Listening on {address}"})
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 20, 50)
        return address

    async def _bridge(self, audience: Audience) -> Bridge:
        """The control plane, with what it has for these."""
        # Heads are limited at the door, so aiohttp's own limits must never be the ones that speak.
        runner = web.AppRunner(
            application(self._surfaces, audience),
            access_log=None,
            handler_cancellation=True,
            auto_decompress=False,
            max_line_size=_NO_LIMIT,
            max_field_size=_NO_LIMIT,
            max_headers=_NO_LIMIT,
        )
        await runner.setup()
        self._runners.append(runner)
        if runner.server is None:
            raise RuntimeError("the runner was not set up")
        return Bridge(runner.server, self.reporting.control.publish, self._surfaces.instance)

    async def _listen(
        self, key: str, place: Listen, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> str:
        host, port = place.host, place.port
        try:
            server = await self._loop.create_server(
                protocol, host, port, backlog=_BACKLOG, reuse_address=True
            )
        except OSError as error:
            raise CannotListenError(f"{key}: {host}:{port} can't be had: {_why(error)}") from error
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        return f"http://{shown}:{bound[1]}"

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _LOG.error("A bug of ours ended a task", exc_info=error)

    def _registry_changed(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        self._pools.forget(removed)
        self._prober.follow(snapshot, removed)
        self.hub.forget()
        self._admission.registry_changed()
        self._admit_by(self._admission, snapshot)
        self.metrics.forget(
            lambda server, tool: (
                server.encode() not in snapshot.servers
                or (bool(tool) and f"{server}.{tool}".encode() not in snapshot.tools)
            )
        )

    # --- reload ---

    async def reload(self) -> None:
        """Take up the settings that can change, and the registry; a bad file keeps what runs."""
        before = self._admission
        try:
            settings = self._reread()
            admission = Admission(settings, self._environ, before)
            archive = await archive_for(settings.registry, self.registrar.archive)
        except (SettingsError, AdmissionError, UnguardedError) as error:
            _LOG.error("Settings rejected, the running ones stay: %s", error)
        else:
            admission.start(before)
            self.registrar.follow(settings.registry, archive)
            self._apply(settings, admission)
            self._own(before.close(admission))
        self._tls.clear()
        await self.registrar.refresh(force=True)

    def _apply(self, settings: Settings, admission: Admission) -> None:
        if not admission.knows_the_same(self._admission):
            self._own(self.hub.dismiss())  # they may no longer listen, or may see something else
        self.settings = settings
        self._admit_by(admission, self.registry.current)
        self.reporting.apply(settings)
        self._plane.max_timeout_s = settings.max_timeout_s
        self._plane.cors = terms.cors(settings)
        self.registry.rules = LoadRules.of(settings)
        self._prober.default_interval_s = settings.health_check_interval_s
        if self._door is not None:
            self._door.rules = terms.rules(settings)
            self._door.entry = terms.entry(settings, self._descriptors)

    def _problems(self) -> dict[str, str]:
        """Of what works beside calls."""
        beside = {where: said for where, said in self._admission.state() if said}
        return self.reporting.problems() | beside

    def _admit_by(self, admission: Admission, snapshot: Snapshot) -> None:
        """Where nothing is to be admitted by, calls are not held up to ask."""
        self._admission = admission
        self._plane.admission = admission if admission.needed(rated=snapshot.rated) else None

    async def _forget_callers(self) -> None:
        while True:
            await asyncio.sleep(_FORGET_EVERY_S)
            self._admission.sweep()

    # --- stop ---

    def install_signals(self) -> None:
        """Nginx's words: HUP reloads, QUIT and TERM drain, INT stops at once, USR1 reopens logs."""
        add = self._loop.add_signal_handler
        add(signal.SIGHUP, lambda: self._own(self.reload()))
        add(signal.SIGTERM, self._begin_drain)
        add(signal.SIGQUIT, self._begin_drain)
        add(signal.SIGINT, self._end)
        add(signal.SIGUSR1, self.reporting.reopen)

    def _begin_drain(self) -> None:
        if not self._draining:
            self._draining = True
            self._own(self._drain())

    async def _drain(self) -> None:
        _LOG.info("Draining")
        self.hub.tell("gateway_draining", {"message": "No more connections are accepted"})
        await asyncio.sleep(self.settings.drain_delay_s)
        for server in self._servers:
            server.close()
        await self.hub.end_streams()
        if self._door is not None and not await self._door.drain(self.settings.drain_timeout_s):
            _LOG.warning("Cut %d connections that took too long", self._door.connections)
        self._end()

    def _end(self) -> None:
        if not self._stop.done():
            self._stop.set_result(None)

    async def stopped(self) -> None:
        """Wait for the end; then let go of everything."""
        await self._stop
        await self.close()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        if self._door is not None:
            self._door.stop()
        await self._prober.stop()
        await self._names.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLES_WITHIN_S):
                await self.registrar.settled()
        await self.reporting.close()
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.registrar.archive.close()
        await self._admission.close()
        for runner in self._runners:
            await runner.cleanup()


def _why(error: OSError) -> str:
    """The kernel's words; asyncio's repeat the address."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
