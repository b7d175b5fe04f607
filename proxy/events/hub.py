"""The hub: everything that happens goes through here once, written down when it does.

Gives each event its name and its bytes, and hands it to ring, fan-out, journal and bus. Knows
nothing of who produces events, and nothing of HTTP.
"""

import asyncio
import logging
from collections.abc import Mapping
from secrets import randbelow, token_hex
from typing import Final, Protocol

import orjson

from proxy.events.event import (
    ORIGIN_ID,
    TOOL_INVOKED,
    CallWriter,
    Event,
    Facts,
    Wanted,
    encoded,
    facts_of,
)
from proxy.events.fanout import Fanout
from proxy.events.ring import Ring
from proxy.events.subscription import Bounds, Outlet, Subscription
from proxy.telemetry.record import Calendar, ExchangeRecord

_LOG = logging.getLogger("toolproxy.events")
_LONGEST_KIND: Final = 128
UNNAMED: Final = b"-unnamed-"
_LOOKS_AHEAD: Final = 100
_LOOK_AHEAD_S: Final = 0.02
_LOOKED_AT: Final = 500  # events at once


class Journal(Protocol):
    """Where events are kept beyond the ring."""

    def append(self, line: bytes) -> None: ...


class Bus(Protocol):
    """Other sidecars: what goes in comes back by `Hub.deliver`, in everybody's order."""

    def publish(self, event_id: bytes, data: bytes) -> None: ...


class Hub:
    """One publisher for many kinds of readers."""

    def __init__(self, capacity: int = 10_000) -> None:
        # With a letter in front, no epoch can be taken for a moment of a Redis Stream.
        self.ring = Ring(capacity, b"t" + token_hex(4).encode())
        self.bounds = Bounds()
        self.fanout = Fanout(self.ring, self.bounds)
        self.journal: Journal | None = None
        self.draining = False
        self.dismissals = 0
        self._bus: Bus | None = None
        self._calendar = Calendar()
        self._calls = CallWriter()

    def __repr__(self) -> str:
        return f"<Hub {self.ring!r} {self.fanout!r}>"

    # --- what happens ---

    def record(self, record: ExchangeRecord) -> None:
        """A call is over."""
        ring, outcome = self.ring, record.outcome
        name = ring.next_id()
        data = self._calls.write(record, name, self._calendar.now(), outcome)
        if self.journal is not None:
            self.journal.append(data)
        if self._bus is not None:
            self._bus.publish(name, data)
            return
        status = "success" if outcome == "success" else "failure"
        trace_id = record.trace.trace_id.decode()
        facts = Facts(TOOL_INVOKED, record.server, trace_id, status, record.tool)
        ring.add(Event(name, facts, data))
        self.fanout.added()

    def record_of(self, facts: Facts, data: bytes) -> None:
        """A call is over in another process, which has written of it under the name `UNNAMED`."""
        name = self.ring.next_id()
        self._out(name, facts, data.replace(UNNAMED, name, 1))

    def tell(self, kind: str, facts: Mapping[str, object]) -> None:
        """Anything else has happened: `facts` are the keys of its event beside the usual ones."""
        name = self.ring.next_id()
        document = {
            "event_id": name.decode(),
            "timestamp": self._calendar.now().decode(),
            "event_type": kind,
            "schema_version": "1.0",
            "source": "toolproxy",
            "trace_id": None,
            "status": "success",
            **facts,
        }
        self._out(name, facts_of(document), encoded(document))

    def merge(self, document: Mapping[str, object]) -> None:
        """An upstream has told of something, in a file of its own; it stays its own event.

        Raises ValueError when its type is none.
        """
        name = self.ring.next_id()
        whole = {"timestamp": self._calendar.now().decode(), **document, "event_id": name.decode()}
        if "event_id" in document:
            whole[ORIGIN_ID] = document["event_id"]
        self._out(name, _sound(facts_of(whole)), encoded(whole), journal=False)

    def _out(self, name: bytes, facts: Facts, data: bytes, *, journal: bool = True) -> None:
        if journal and self.journal is not None:
            self.journal.append(data)
        if self._bus is not None:
            self._bus.publish(name, data)
        else:
            self._add(Event(name, facts, data))

    def _add(self, event: Event) -> None:
        self.ring.add(event)
        self.fanout.added()

    # --- beyond this process ---

    def join(self, bus: Bus) -> None:
        """From now on, events take the way over the bus."""
        self._bus = bus
        self.ring.in_step = False

    def deliver(self, data: bytes, stream_id: bytes | None) -> None:
        """An event from the bus; without an id of the stream it is our own, and the bus is away."""
        try:
            document = orjson.loads(data)
            name = stream_id or str(document["event_id"]).encode()
            self._add(Event(name, _sound(facts_of(document)), encoded(document)))
        except (AttributeError, KeyError, TypeError, ValueError):
            _LOG.warning("What came over the bus is no event; it is left out")

    # --- who reads ---

    @property
    def is_full(self) -> bool:
        """Do as many listen as may?"""
        return self.fanout.subscribers >= self.bounds.subscribers

    async def catch_up(self, last_id: bytes) -> None:
        """Who was ahead of us elsewhere would hear again what they have heard there: a moment."""
        for _ in range(_LOOKS_AHEAD):
            if not self.ring.lags(last_id):
                return
            await asyncio.sleep(_LOOK_AHEAD_S)

    def subscribe(
        self, outlet: Outlet, wanted: Wanted, last_id: bytes, *, chunked: bool
    ) -> Subscription:
        """Listen, from the one after `last_id` on where it is given."""
        place = self.ring.after(last_id) if last_id else self.ring.here()
        return self.fanout.join(outlet, wanted, place, chunked=chunked)

    async def newest(self, wanted: Wanted, most: int) -> list[bytes]:
        """The newest so many events of the ring that are wanted, as JSON, oldest first."""
        found: list[bytes] = []
        ring = self.ring
        end = ring.end
        while end > ring.first and len(found) < most:
            start = max(end - _LOOKED_AT, ring.first)
            some = reversed(ring.span(start, end))
            found += [event.data for event in some if wanted.takes(event.facts)]
            end = start
            await asyncio.sleep(0)
        found = found[:most]
        found.reverse()
        return found

    async def end_streams(self) -> None:
        """The sidecar is about to stop: nobody may begin to listen, and who does comes back."""
        self.draining = True
        await self.dismiss()

    async def dismiss(self) -> None:
        """Who listens is to come back, and to say anew who they are."""
        self.dismissals += 1
        await self.fanout.end_all(lambda: 500 + randbelow(2_500))

    def resize(self, capacity: int) -> None:
        """How many events the ring holds."""
        if capacity != self.ring.capacity:
            self.ring = self.ring.resized(capacity)
            self.fanout.turn(self.ring)

    def forget(self) -> None:
        """The registry has changed: nothing of what is gone may stay here."""
        self._calls.forget()


def _sound(facts: Facts) -> Facts:
    """Raises ValueError when the kind, which others chose, is none that a stream can name."""
    if not (facts.kind.isprintable() and 0 < len(facts.kind) <= _LONGEST_KIND):
        raise ValueError("no event type")
    return facts
