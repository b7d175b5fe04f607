"""What happens in a worker, on its way to the office: some at a time, for each batch is a message.

Knows how a call is written down. Knows nothing of who hears of it.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from proxy.events.event import AUTHORIZATION_DENIED, TOOL_INVOKED, CallWriter, Facts
from proxy.events.hub import UNNAMED, Hub
from proxy.telemetry.record import Calendar, ExchangeRecord
from proxy.workers.link import Link
from proxy.workers.post import Post
from proxy.workers.words import EVENTS, TOLD

_GATHER_S: Final = 0.005
_AT_A_TIME: Final = 500
_MOST: Final = 10_000  # that wait while the office is away


class Story:
    """Where a worker's events go (see `recording.Story`)."""

    def __init__(self, post: Post) -> None:
        self.dropped = 0
        self._post = post
        self._calls = CallWriter()
        self._calendar = Calendar()
        self._batch: list[tuple[Facts, bytes]] = []
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def record(self, record: ExchangeRecord) -> None:
        """A call is over."""
        outcome = record.outcome
        data = self._calls.write(record, UNNAMED, self._calendar.now(), outcome)
        status = "success" if outcome == "success" else "failure"
        trace_id = record.trace.trace_id.decode()
        facts = Facts(TOOL_INVOKED, record.server, trace_id, status, record.tool)
        if len(self._batch) >= _MOST:
            self.dropped += 1
            return
        self._batch.append((facts, data))
        if self._timer is None:
            self._timer = self._loop.call_later(_GATHER_S, self._send)

    def tell(self, kind: str, facts: Mapping[str, object]) -> None:
        """Anything else has happened."""
        self._send()
        self._post.tell(TOLD, kind, dict(facts))

    def forget(self) -> None:
        """The registry has changed: what is gone must not stay here."""
        self._calls.forget()

    def close(self) -> None:
        """Send what waits."""
        self._send()

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._batch:
            return
        if self._post.tell(EVENTS, self._batch[:_AT_A_TIME]):
            del self._batch[:_AT_A_TIME]
        if self._batch:
            self._timer = self._loop.call_later(_GATHER_S, self._send)


class Hearing:
    """The office's end: what workers tell goes to the hub; refusals to where they are folded."""

    def __init__(self, hub: Hub, denied: Callable[[Mapping[str, object]], None]) -> None:
        self._hub = hub
        self._denied = denied

    def events(self, _: Link, batch: list[tuple[Facts, bytes]]) -> None:
        for facts, data in batch:
            self._hub.record_of(facts, data)

    def told(self, _: Link, kind: str, facts: Mapping[str, object]) -> None:
        if kind == AUTHORIZATION_DENIED:
            self._denied(facts)
        else:
            self._hub.tell(kind, facts)
