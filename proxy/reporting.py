"""Who is told what happened: metrics, hub, and what the settings switch on.

Builds the readers of records and events, gives them what a reload changes, lets go of them at the
end. Decides nothing about a call, and costs it nothing but being told.
"""

import asyncio
from http import HTTPStatus
from typing import Final

from proxy.config.settings import Settings
from proxy.telemetry.folding import Folding
from proxy.telemetry.hub import Hub
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.publisher import Publisher
from proxy.telemetry.record import ExchangeRecord

_DENIED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Reporting:
    """All readers of one sidecar. `calls` and `control` are where records are published."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.hub = Hub()
        self.folding = Folding(self.hub.tell)
        self.calls = Publisher(self.metrics.observe, self.hub.record)
        self.control = Publisher(self.metrics.observe)
        self.refusals = Publisher(self.metrics.observe, self._fold)

    def _fold(self, record: ExchangeRecord) -> None:
        """Somebody may not come in: who, and by which rule."""
        if record.status in _DENIED:
            address, now = record.caller.address.decode(), asyncio.get_running_loop().time()
            self.folding.denied(address, "", record.code, now)

    def apply(self, settings: Settings) -> None:
        """Take up the settings that can change."""
        events, bounds = settings.events, self.hub.bounds
        bounds.subscribers = events.max_subscribers
        bounds.queue = events.queue
        bounds.queue_bytes = events.queue_bytes
        bounds.keepalive_s = events.keepalive_s
        self.hub.resize(events.ring)
