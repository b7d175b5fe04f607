"""The half of a sidecar that carries calls: the table, pools, the door, and who may come in.

Built in the process of every worker, and in the one process where there are none. Knows neither
where the registry comes from nor what people and programs ask beside calls.
"""

import asyncio
import contextlib
import gc
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from proxy import terms
from proxy.admission.stage import Admission
from proxy.config.settings import Settings
from proxy.data_plane.door import ControlPlane, Door, Entry
from proxy.data_plane.pool import Means, Pools
from proxy.data_plane.roles import Entryway, Plane, Rules
from proxy.descriptors import raise_limit
from proxy.listening.acceptor import Factory
from proxy.listening.serving import CertificateOf, House, Listening, certificates_of
from proxy.listening.sockets import Opened
from proxy.recording import Recording
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules
from proxy.registry.names import Names
from proxy.registry.snapshot import Snapshot
from proxy.registry.tls import TlsContexts
from proxy.wire.trace import sampling_bound

if TYPE_CHECKING:
    from proxy.listening.certificates import Certificates

_LOG = logging.getLogger("toolproxy")
# A collection walks what start-up made and nobody will free: seen as p99. Rarer, and without that.
_GC_THRESHOLD: Final = 20_000
_FORGET_EVERY_S: Final = 5.0
_ACCEPTED_S: Final = 0.05
_TO_REFUSE: Final = 64  # so many more than may come are let in, to be told


class Carrier:
    """All that carries calls, put together. The settings come with `apply`."""

    def __init__(
        self,
        settings: Settings,
        admission: Admission,
        registry: LiveRegistry,
        recording: Recording,
        instance: str,
    ) -> None:
        self.registry = registry
        self.admission = admission
        self.tls = TlsContexts()
        self.names = Names(lambda: registry.rules.deny, registry.endpoints_moved)
        self.pools = Pools(Means(terms.heads(settings), self.tls, self.names.resolve))
        self.plane = Plane(
            instance,
            registry,
            self.pools,
            recording.calls.publish,
            recording.refusals.publish,
        )
        if settings.tracing.otlp:
            self.plane.sampled_below = sampling_bound(settings.tracing.sample)
        self._recording = recording
        self._descriptors = raise_limit()
        self.door: Door | None = None
        self._listening: Listening | None = None
        registry.listen(self._registry_changed)
        registry.listen(self.names.follow, self.names.doubted)

    def __repr__(self) -> str:
        return f"<Carrier {self.door!r}>"

    # --- the door ---

    def build_door(self, control: ControlPlane, operators: ControlPlane | None) -> Door:
        """The one door; nobody can come in until somebody listens for it."""
        self.door = door = Door(self.plane, control, Rules(), Entry())
        door.operators = operators
        return door

    async def listen(
        self, opened: list[Opened], certificates: Mapping[str, "Certificates"]
    ) -> Listening:
        """Callers may come."""
        if self.door is None:
            raise RuntimeError("there is no door yet")
        self._listening = listening = Listening(opened, certificates)
        door = self.door
        await listening.serve(
            House(self._factory, door.trusts, self._has_room, lambda: door.rules.head_timeout_s)
        )
        door.start()
        return listening

    def watch(self, settings: Settings) -> Listening:
        """Know the listeners' certificates, where others serve them; raises `CannotListenError`."""
        self._listening = listening = Listening((), certificates_of(settings.listeners))
        return listening

    @property
    def opened(self) -> tuple[Opened, ...]:
        return () if self._listening is None else self._listening.opened

    def _factory(self, opened: Opened, certificate_of: CertificateOf | None) -> Factory:
        """Of connections of one listener."""
        listener, door = opened.listener, self.door
        entryway = Entryway(
            listener.serves, listener.scheme.encode(), opened.port, None, certificate_of
        )
        if door is None:
            raise RuntimeError("there is no door yet")
        made = door.protocol(entryway)
        return lambda peer: (
            made() if peer is None else door.protocol(entryway._replace(peer=peer))()
        )

    def _has_room(self, under_way: int) -> bool:
        """For one more, beside so many that have not begun yet."""
        door = self.door
        return door is None or door.connections + under_way < door.entry.connections + _TO_REFUSE

    async def forget_callers(self) -> None:
        """Let go of what was counted of callers who come no more; until cancelled."""
        while True:
            await asyncio.sleep(_FORGET_EVERY_S)
            self.admission.sweep()

    # --- changes ---

    def apply(self, settings: Settings, admission: Admission) -> None:
        """Take up the settings that can change."""
        self._admit_by(admission, self.registry.current)
        self.plane.max_timeout_s = settings.max_timeout_s
        self.plane.cors = terms.cors(settings)
        self.registry.rules = LoadRules.of(settings)
        if self.door is not None:
            self.door.rules = terms.rules(settings)
            self.door.routes = terms.routes(settings)
            self.door.entry = terms.entry(settings, self._descriptors)

    def reload(self, settings: Settings) -> None:
        """Read what lies in files beside the settings again."""
        if self._listening is not None:
            self._listening.reload(settings.listeners)
        self.tls.clear()

    def _admit_by(self, admission: Admission, snapshot: Snapshot) -> None:
        """Where nothing is to be admitted by, calls are not held up to ask."""
        self.admission = admission
        self.plane.admission = admission if admission.needed(rated=snapshot.rated) else None

    def _registry_changed(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        self.pools.forget(removed)
        self.admission.registry_changed()
        self._admit_by(self.admission, snapshot)
        self._recording.metrics.forget(
            lambda server, tool: (
                server.encode() not in snapshot.servers
                or (bool(tool) and f"{server}.{tool}".encode() not in snapshot.tools)
            )
        )

    # --- the end ---

    async def shut(self, longest_s: float) -> None:
        """Nobody new comes in; who was accepted goes on, if it begins in time."""
        if self._listening is not None:
            self._listening.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest_s):
                    await self._listening.settled()
            if self.door is not None:
                self.door.draining = True
            # It hears of who was accepted just now in the loop's next turns.
            await asyncio.sleep(_ACCEPTED_S)

    async def drain(self, longest_s: float) -> None:
        """Let every request finish that was accepted."""
        door = self.door
        if door is not None and not await door.drain(longest_s):
            _LOG.warning("Cut %d connections that took too long", door.connections)

    async def close(self) -> None:
        """Cut whoever is still there, and let go of everything."""
        if self._listening is not None:
            self._listening.close()
            self._listening.cut()
        if self.door is not None:
            self.door.stop()
        await self.names.stop()


def settle_down() -> None:
    """What start-up made stays: it is not walked again at every collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_THRESHOLD, 20, 50)
