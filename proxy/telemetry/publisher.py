"""Who is told of an exchange once it is over. Knows nothing of what they make of it."""

import logging
from collections.abc import Callable

from proxy.telemetry.record import ExchangeRecord

_LOG = logging.getLogger("toolproxy")

Subscriber = Callable[[ExchangeRecord], None]


class Publisher:
    """Publishes each record once; `subscribers` may be replaced at any time."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self.subscribers = subscribers

    def publish(self, record: ExchangeRecord) -> None:
        for subscriber in self.subscribers:
            try:
                subscriber(record)
            except Exception:  # noqa: BLE001 - a bug here must not cost the caller's connection
                _LOG.exception("A bug of ours in telling of %s", record)
