"""A worker: one of the processes that carry calls, while the office knows the rest.

Built of the same half as the one process of a sidecar without workers. Knows nothing of sources,
probes, or what people ask: the office's answers come through it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from proxy import terms
from proxy.admission.stage import Admission, AdmissionError
from proxy.carrier import Carrier, settle_down
from proxy.config.settings import Settings, SettingsError
from proxy.control_plane.bridge import Bridge
from proxy.control_plane.owned import Owned
from proxy.gauges import carried, figures
from proxy.life import Life
from proxy.listening.sockets import Opened
from proxy.recording import Recording
from proxy.registry.endpoint import Endpoint
from proxy.registry.live import LiveRegistry
from proxy.registry.load import LoadRules
from proxy.registry.snapshot import Snapshot
from proxy.telemetry import logs
from proxy.telemetry.record import ExchangeRecord
from proxy.workers.census import Census
from proxy.workers.ledger import Ledger
from proxy.workers.link import Link
from proxy.workers.permits import Parts
from proxy.workers.place import Place
from proxy.workers.post import Post
from proxy.workers.rates import CommonRates
from proxy.workers.relay import relay
from proxy.workers.story import Story
from proxy.workers.tally import Tally
from proxy.workers.words import OWNED

if TYPE_CHECKING:
    from proxy.listening.certificates import Certificates

_LOG = logging.getLogger("toolproxy")
_NOTHING: Final = Owned(frozenset(), ())
# It says the same, once.
_OFFICES_OWN: Final = (
    "toolproxy.admission.refusals",
    "toolproxy.health",
    "toolproxy.limits",
    "toolproxy.registry",
)


class Seat(NamedTuple):
    """One of the places that there are for workers; it stays when another process takes it."""

    place: Place
    slot: int
    census: Census


class Worker(Life):
    """One worker. `start`, then `stopped` until a signal ends it, or the master is gone."""

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        environ: Mapping[str, str],
        instance: str,
        seat: Seat,
    ) -> None:
        """Raises `AdmissionError` and `TracingUnavailableError`."""
        super().__init__()
        self._settings = settings
        self._reread = reread
        self._environ = environ
        self.registry = LiveRegistry(LoadRules.of(settings), environ)
        self.registry.listen(self._registry_changed)
        self._post = Post(seat.place.links, seat.slot, self.registry)
        self._workers = settings.workers_wanted
        self.registry.parts = Parts(self._post, self._workers, seat.slot)
        self._story = Story(self._post)
        self._recording = Recording(settings, instance, self.tasks.own, self._story)
        self._tally = Tally(self._post, self._recording.metrics)
        self._rates = CommonRates(self._post, self._workers)
        admission = Admission(settings, environ, together=self._rates)
        self._carrier = Carrier(settings, admission, self.registry, self._recording, instance)
        self._carrier.plane.ledger = Ledger(self._post)
        self._bridge, operators = (
            Bridge(relay(seat.place.callers), self._publish_refusal, instance, _NOTHING)
            for _ in range(2)
        )
        self._operators = operators if settings.operators_apart else None
        door = self._carrier.build_door(self._bridge, self._operators)
        door.census = seat.census.of(seat.slot)
        self._post.hears[OWNED] = self._owns
        for name in _OFFICES_OWN:
            logging.getLogger(name).disabled = True

    def __repr__(self) -> str:
        return f"<Worker {self._carrier!r}>"

    async def start(self, opened: list[Opened], certificates: Mapping[str, "Certificates"]) -> bool:
        """Hear from the office, then listen; False when a signal came first.

        Raises `CannotListenError`.
        """
        for each in opened:
            each.hand_over()  # the master has made their files, and takes them away
        self._apply(self._settings, self._carrier.admission)
        self.tasks.own(self._post.run())
        self.tasks.own(self._post.follow())
        if not await self.comes_before_end(self._post.ready.wait()):
            await self.close()
            return False
        self._recording.start()
        self.tasks.own(self._carrier.forget_callers())
        self._carrier.admission.start()
        await self._carrier.listen(opened, certificates)
        self._show()
        self.tasks.own(self._tally.run())
        settle_down()
        return True

    def _show(self) -> None:
        """From now on there are numbers of the moment."""
        carrier, metrics = self._carrier, self._recording.metrics
        if carrier.door is not None:
            for gauge in carried(carrier.door, carrier.pools, self.registry, self._recording):
                metrics.add(gauge)
        for gauge in figures(self.registry):
            metrics.add(gauge)

    def _owns(self, _: Link, owned: Owned, of_operators: Owned) -> None:
        """These paths are the office's."""
        self._bridge.owned = owned
        if self._operators is not None:
            self._operators.owned = of_operators

    def _publish_refusal(self, record: ExchangeRecord) -> None:
        """The office records what it answers; what it could not, we do."""
        if record.code:
            self._recording.control.publish(record)

    def _registry_changed(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        del snapshot, removed
        self._story.forget()

    # --- reload ---

    async def reload(self) -> None:
        """Take up the settings that can change; the office says what is wrong with them."""
        before = self._carrier.admission
        with contextlib.suppress(SettingsError, AdmissionError):
            settings = terms.as_reloaded(self._settings, self._reread())
            admission = Admission(settings, self._environ, before, self._rates)
            admission.start(before)
            self._apply(settings, admission)
            self.tasks.own(before.close(admission))
        self._carrier.reload(self._settings)

    def _apply(self, settings: Settings, admission: Admission) -> None:
        self._settings = settings
        logs.change(settings.log_level, settings.log_format)
        self._recording.apply(settings)
        self._carrier.apply(settings, admission)

    # --- stop ---

    def reopen(self) -> None:
        self._recording.reopen()

    async def drain(self) -> None:
        await asyncio.sleep(self._settings.drain_delay_s)
        await self._carrier.shut(self._settings.drain_timeout_s)
        await self._carrier.drain(self._settings.drain_timeout_s)

    async def close(self) -> None:
        await self._carrier.close()
        self._story.close()
        await self._tally.tell()
        await self._recording.close()
        await self.tasks.end()
        await self._carrier.admission.close()
