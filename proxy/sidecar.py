"""The composition root: build everything, listen, reload, drain, stop.

The only file that sees both planes, the registry and the settings. Decides nothing about a call.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from proxy import terms
from proxy.admission.stage import Admission, AdmissionError
from proxy.carrier import Carrier, settle_down
from proxy.config.settings import Settings, SettingsError
from proxy.control_plane.app import Surfaces, application
from proxy.control_plane.bridge import Bridge
from proxy.control_plane.inner import InMemoryTransport
from proxy.control_plane.owned import owned
from proxy.control_plane.prober import Around, Prober
from proxy.control_plane.visitors import Audience
from proxy.gauges import carried, known
from proxy.generations.registrar import Registrar
from proxy.generations.sources import source_of
from proxy.generations.starting import UnguardedError, archive_for, start
from proxy.life import Life
from proxy.listening.serving import Listening, certificates_of, told_of
from proxy.listening.sockets import Opened, open_all
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules
from proxy.registry.snapshot import Snapshot
from proxy.reporting import Reporting

_LOG = logging.getLogger("toolproxy")
_NO_LIMIT: Final = 1 << 30
_SETTLES_WITHIN_S: Final = 5.0  # a generation that is in force by now, and not yet kept


def new_instance() -> str:
    """A name for one sidecar, which nobody else has."""
    return f"toolproxy-{secrets.token_hex(4)}"


class Sidecar(Life):
    """One running sidecar. `start`, then `stopped` until a signal ends it."""

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        environ: Mapping[str, str],
        instance: str = "",
        *,
        resumes: bool = False,
    ) -> None:
        """Raises `ReportingError`, `AdmissionError` and `SourceError`."""
        super().__init__()
        self.settings = settings
        self._reread = reread
        self._environ = environ
        self._resumes = resumes  # what ran a moment ago
        # Names this process in Via: only our own mark must ever be taken for a loop.
        instance = instance or new_instance()
        self.reporting = Reporting(settings, instance, self.tasks.own)
        self.hub = self.reporting.hub
        self.registry = LiveRegistry(LoadRules.of(settings), environ, self.hub.tell)
        self.registrar = Registrar(
            self.registry, source_of(settings.registry), settings.registry, self.hub.tell
        )
        admission = Admission(settings, environ)
        recording = self.reporting.recording
        self._carrier = carrier = Carrier(settings, admission, self.registry, recording, instance)
        self._surfaces = Surfaces(
            self.registry,
            self.registrar,
            recording.metrics,
            self.hub,
            lambda: self.reporting.kept,
            self._problems,
            instance,
            lambda: self.draining,
            lambda: carrier.plane.cors,
            lambda: carrier.admission,
            lambda: self.settings,
            carrier.tls,
        )
        self._prober = Prober(
            settings.health_check_interval_s,
            Around(carrier.tls, carrier.names.resolve, lambda: carrier.plane.late_at),
        )
        self._runners: list[web.AppRunner] = []
        self._bridges: tuple[Bridge, ...] = ()

    # --- start ---

    async def start(self) -> str:
        """Load, build, listen; the address that callers can use.

        Raises `RegistryRejectedError`, `UnguardedError` and `CannotListenError`.
        """
        self.registry.listen(self._registry_changed, self._prober.doubted)
        self.reporting.apply(self.settings)
        archive = await archive_for(self.settings.registry)
        self.registrar.follow(self.settings.registry, archive)
        await start(self.registrar, self._environ, resumes=self._resumes)
        apart = self.settings.operators_apart
        bridge = await self._bridge(Audience.EVERYBODY_ELSE if apart else Audience.EVERYBODY)
        operators = await self._bridge(Audience.OPERATORS) if apart else None
        self._bridges = bridge, operators or bridge
        self._carrier.build_door(bridge, operators)
        self._apply(self.settings, self._carrier.admission)
        address = await self._listen()
        self.reporting.start()
        self.tasks.own(self.registrar.source.watch(self.registrar.refresh))
        self.tasks.own(self._carrier.forget_callers())
        self._carrier.admission.start()
        self.hub.tell("gateway_started", {"message": f"Listening on {address}"})
        settle_down()
        return address

    @property
    def opened(self) -> tuple[Opened, ...]:
        """The listeners, with their sockets."""
        return self._carrier.opened

    async def _bridge(self, audience: Audience) -> Bridge:
        """The control plane, with what it has for these."""
        app = application(self._surfaces, audience)
        # Heads are limited at the door, so aiohttp's own limits must never be the ones that speak.
        runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            auto_decompress=False,
            max_line_size=_NO_LIMIT,
            max_field_size=_NO_LIMIT,
            max_headers=_NO_LIMIT,
        )
        await runner.setup()
        self._runners.append(runner)
        server = runner.server
        if server is None:
            raise RuntimeError("the runner was not set up")
        return Bridge(
            lambda session: InMemoryTransport(session, server()),
            self.reporting.recording.control.publish,
            self._surfaces.instance,
            owned(app, audience),
        )

    async def _listen(self) -> str:
        """Open the listeners; where the first one is."""
        listeners = self.settings.listeners
        certificates = certificates_of(listeners)
        opened = open_all(listeners, self._environ)
        listening = await self._carrier.listen(opened, certificates)
        self._show(listening)
        return told_of(listening.opened)

    def _show(self, listening: Listening) -> None:
        """From now on there are numbers of the moment."""
        carrier, metrics, hub = self._carrier, self.reporting.recording.metrics, self.hub
        if carrier.door is not None:
            numbers = carried(carrier.door, carrier.pools, self.registry, self.reporting)
            for gauge in numbers:
                metrics.add(gauge)
        for gauge in known(self.registrar, lambda: hub.fanout.subscribers, listening):
            metrics.add(gauge)

    def _registry_changed(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        self._prober.follow(snapshot, removed)
        self.hub.forget()

    # --- reload ---

    async def reload(self) -> None:
        """Take up the settings that can change, and the registry; a bad file keeps what runs."""
        before = self._carrier.admission
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
            self.tasks.own(before.close(admission))
        self._carrier.reload(self.settings)
        await self.registrar.refresh(force=True)

    def _apply(self, settings: Settings, admission: Admission) -> None:
        if not admission.knows_the_same(self._carrier.admission):
            self.tasks.own(self.hub.dismiss())  # they may no longer listen, or see something else
        for key in terms.unchangeable(self.settings, settings):
            _LOG.warning("%s has changed, which takes a restart (or USR2); it stays as it was", key)
        settings = terms.as_reloaded(self.settings, settings)
        self.settings = settings
        self.reporting.apply(settings)
        self._carrier.apply(settings, admission)
        self._prober.default_interval_s = settings.health_check_interval_s

    def _problems(self) -> dict[str, str]:
        """Of what works beside calls."""
        beside = {where: said for where, said in self._carrier.admission.state() if said}
        return self.reporting.problems() | beside

    # --- stop ---

    def reopen(self) -> None:
        self.reporting.reopen()

    async def drain(self) -> None:
        _LOG.info("Draining")
        self.hub.tell("gateway_draining", {"message": "No more connections are accepted"})
        await asyncio.sleep(self.settings.drain_delay_s)
        await self._carrier.shut(self.settings.drain_timeout_s)
        await self.hub.end_streams()
        await self._drained()

    async def _drained(self) -> None:
        await self._carrier.drain(self.settings.drain_timeout_s)

    async def close(self) -> None:
        await self._carrier.close()
        await self._prober.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_SETTLES_WITHIN_S):
                await self.registrar.settled()
        await self.reporting.close()
        await self.tasks.end()
        self.registrar.archive.close()
        await self._carrier.admission.close()
        for runner in self._runners:
            await runner.cleanup()
