"""Events come, readers join, leave and stall, the ring changes: each gets his own, once, in order.

What a reader does not get, a gap tells him; and from any id that he was ever given he can go on.
"""

import asyncio
from typing import Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from proxy.events import fanout, subscription
from proxy.events.event import Wanted
from tests.support.event_reader import Message, Unchunked, WhatwgParser
from tests.support.fake_outlet import FakeOutlet, Listening, Station

SMALL_RING: Final = st.integers(1, 12)
WANTED: Final = st.sampled_from(
    [
        Wanted(),
        Wanted(frozenset({"a"})),
        Wanted(frozenset({"a", "b"})),
        Wanted(server="s"),
        Wanted(frozenset({"z"})),
    ]
)
KINDS: Final = st.sampled_from("abc")
SERVERS: Final = st.sampled_from(["s", "t"])
WHICH: Final = st.integers(0, 30)


class Reader:
    """One who listens; `at` is the position up to which he knows what happened."""

    def __init__(self, listening: Listening, wanted: Wanted, at: int, expired: int) -> None:
        self.listening = listening
        self.wanted = wanted
        self.at = at
        self.expired = expired  # so many were gone when he joined, and he was not told yet
        self._framing = Unchunked()
        self._parser = WhatwgParser()
        self._read_bytes = 0

    def news(self) -> list[Message]:
        """What came since he was last asked."""
        octets = self.listening.outlet.came[self._read_bytes :]
        self._read_bytes += len(octets)
        return self._parser.feed(self._framing.take(octets) if self.listening.chunked else octets)


class FanoutMachine(RuleBasedStateMachine):
    """A hub with a small ring beside a list of everything that ever happened."""

    def __init__(self) -> None:
        super().__init__()
        # Rounds of many slices, and pieces of an event or two: so that much comes in between.
        self.patches = pytest.MonkeyPatch()
        self.patches.setattr(fanout, "SLICE_S", 0.0)
        self.patches.setattr(subscription, "PIECE_BYTES", 300)
        self.station = Station(5)
        self.station.hub.bounds.queue = 3
        self.events: list[tuple[str, str]] = []  # kind and server, by position
        self.given: list[tuple[str, Wanted]] = []  # ids that readers have seen
        self.readers: list[Reader] = []

    # --- what happens ---

    @rule(burst=st.lists(st.tuples(KINDS, SERVERS), min_size=1, max_size=9))
    def events_come(self, burst: list[tuple[str, str]]) -> None:
        def tell() -> None:
            for kind, server in burst:
                self.station.hub.tell(kind, {"server_name": server})

        self.events += burst
        self.station.does(tell)

    @rule(wanted=WANTED, chunked=st.booleans(), high_water_bytes=st.sampled_from([0, 500, 5_000]))
    def somebody_joins(self, wanted: Wanted, high_water_bytes: int, *, chunked: bool) -> None:
        listening = self.station.listens(
            wanted, chunked=chunked, outlet=FakeOutlet(high_water_bytes)
        )
        self.readers.append(Reader(listening, wanted, len(self.events), 0))

    @rule(which=WHICH, bursts=st.lists(st.lists(KINDS, max_size=4), min_size=1, max_size=6))
    def events_come_between_slices(self, which: int, bursts: list[list[str]]) -> None:
        """Each burst at a turn of the loop of its own, from where somebody goes on."""

        async def tell() -> None:
            if self.readers:
                self.readers[which % len(self.readers)].listening.outlet.open()
            for burst in bursts:
                for kind in burst:
                    self.station.hub.tell(kind, {"server_name": "s"})
                await asyncio.sleep(0)

        self.events += [(kind, "s") for burst in bursts for kind in burst]
        self.station.loop.run_until_complete(tell())
        self.station.settle()

    @precondition(lambda self: self.given)
    @rule(which=WHICH, chunked=st.booleans(), at_once=st.lists(KINDS, max_size=3))
    def somebody_comes_back(self, which: int, at_once: list[str], *, chunked: bool) -> None:
        last_id, wanted = self.given[-1 - which % len(self.given)]
        seen = int(last_id.rpartition("-")[2])
        expired = max(self.station.hub.ring.first - seen, 0)

        def tell() -> None:
            for kind in at_once:
                self.station.hub.tell(kind, {"server_name": "s"})

        first = self.station.hub.ring.first
        self.events += [(kind, "s") for kind in at_once]
        listening = self.station.listens(wanted, last_id, chunked=chunked, then=tell)
        self.readers.append(Reader(listening, wanted, seen, expired))
        hub = self.station.hub
        if len(at_once) <= hub.bounds.queue and hub.ring.first <= max(seen, first):
            self.station.passes()
            reasons = [m.json().get("reason") for m in listening.messages if m.event == "gap"]
            assert "slow" not in reasons, "he was not slow, and all was there"

    @precondition(lambda self: self.readers)
    @rule(which=WHICH)
    def somebody_leaves(self, which: int) -> None:
        reader = self.readers.pop(which % len(self.readers))
        self.check(reader)
        self.station.leaves(reader.listening)

    @precondition(lambda self: self.readers)
    @rule(which=WHICH)
    def somebody_stalls(self, which: int) -> None:
        self.readers[which % len(self.readers)].listening.outlet.shut()

    @precondition(lambda self: self.readers)
    @rule(which=WHICH)
    def somebody_goes_on(self, which: int) -> None:
        self.station.does(self.readers[which % len(self.readers)].listening.outlet.open)

    @rule(capacity=SMALL_RING)
    def ring_is_resized(self, capacity: int) -> None:
        self.station.does(lambda: self.station.hub.resize(capacity))

    @rule(capacity=SMALL_RING, burst=st.lists(KINDS, max_size=6))
    def ring_is_resized_behind_a_burst(self, capacity: int, burst: list[str]) -> None:
        def act() -> None:
            for kind in burst:
                self.station.hub.tell(kind, {"server_name": "s"})
            self.station.hub.resize(capacity)

        self.events += [(kind, "s") for kind in burst]
        self.station.does(act)

    @rule(queue=st.integers(1, 6))
    def queues_are_resized(self, queue: int) -> None:
        self.station.hub.bounds.queue = queue

    @rule(seconds=st.sampled_from([0.001, 0.02, 1.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        self.station.passes(seconds)
        for reader in [each for each in self.readers if each.listening.outlet.aborted]:
            self.readers.remove(reader)
            self.station.leaves(reader.listening)

    # --- what holds ---

    @invariant()
    def nobody_is_told_wrong(self) -> None:
        for reader in self.readers:
            self.check(reader)

    def check(self, reader: Reader) -> None:
        """Follow what he got."""
        for message in reader.news():
            self.given.append((message.id, reader.wanted))
            before, reader.at = reader.at, message.sequence
            assert reader.at >= before, (message, before)
            if message.event == "gap":
                self._check_gap(reader, message, before)
            else:
                assert not reader.expired, "nobody told him what is gone"
                assert self._his(reader, before, reader.at) == [reader.at - 1], (message, before)

    def _check_gap(self, reader: Reader, gap: Message, before: int) -> None:
        """A count is exact for who is slow; of what is gone unseen, nobody knows whose it was."""
        count, at_least = gap.json()["count"], len(self._his(reader, before, gap.sequence))
        if gap.json()["reason"] == "slow":
            assert not reader.expired, "nobody told him what was gone when he came"
            assert count == at_least, (gap, before, at_least)
        else:
            assert max(at_least, reader.expired) <= count <= gap.sequence - before, (gap, before)
        reader.expired = 0

    def _his(self, reader: Reader, start: int, end: int) -> list[int]:
        """Positions of events that he asked for."""
        wanted = reader.wanted
        return [
            position
            for position in range(start, end)
            if (not wanted.kinds or self.events[position][0] in wanted.kinds)
            and wanted.server in ("", self.events[position][1])
        ]

    def teardown(self) -> None:
        """When everybody reads on, nobody lacks anything but what he was told of."""
        try:
            for reader in self.readers:
                self.station.does(reader.listening.outlet.open)
            for _ in range(3):
                self.station.passes()
            for reader in self.readers:
                self.check(reader)
                assert not self._his(reader, reader.at, len(self.events)), reader.at
                self.station.leaves(reader.listening)
            left = self.station.hub.fanout
            assert (left._channels, left._behind, left.subscribers) == ({}, set(), 0)
        finally:
            self.patches.undo()
            self.station.close()


FanoutMachine.TestCase.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestFanout = FanoutMachine.TestCase
