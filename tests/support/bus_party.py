"""One who publishes on a bus and remembers what the bus delivered."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import orjson

from proxy.events.bus import Bus


class Party:
    """`got` has (event id, stream id) in the order of delivery; the stream id is None if local."""

    def __init__(self, url: str, name: str, *, most: int = 10_000) -> None:
        self.name = name
        self.bus = Bus(url, self._take, most=most)
        self.got: list[tuple[str, bytes | None]] = []
        self.published: list[str] = []

    def __repr__(self) -> str:
        return f"<Party {self.name} {self.bus} published={len(self.published)} got={len(self.got)}>"

    @property
    def times_seen(self) -> Counter[str]:
        return Counter(event_id for event_id, _ in self.got)

    @property
    def local(self) -> list[str]:
        return [event_id for event_id, stream_id in self.got if stream_id is None]

    @property
    def by_stream(self) -> list[str]:
        return [event_id for event_id, stream_id in self.got if stream_id is not None]

    @property
    def stream_ids(self) -> list[tuple[int, ...]]:
        ids = [stream_id for _, stream_id in self.got if stream_id is not None]
        return [tuple(int(part) for part in stream_id.split(b"-")) for stream_id in ids]

    def publish(self, count: int = 1, *, padding: str = "") -> None:
        for _ in range(count):
            event_id = f"{self.name}-{len(self.published)}"
            self.published.append(event_id)
            event = orjson.dumps({"event_id": event_id, "padding": padding})
            self.bus.publish(event_id.encode(), event)

    async def publish_for(self, span_s: float, *, every_s: float) -> None:
        ends_at = time.monotonic() + span_s
        while time.monotonic() < ends_at:
            self.publish()
            await asyncio.sleep(every_s)

    async def publish_until(self, over: asyncio.Event, *, every_s: float) -> None:
        while not over.is_set():
            self.publish()
            await asyncio.sleep(every_s)

    def has_seen_once(self, *parties: "Party") -> bool:
        return self.times_seen == Counter(each for party in parties for each in party.published)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Party"]:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.bus.run())
            try:
                yield self
            finally:
                task.cancel()

    def _take(self, data: bytes, stream_id: bytes | None) -> None:
        self.got.append((orjson.loads(data)["event_id"], stream_id))


async def until(fact: Callable[[], object], *, within_s: float = 20.0) -> None:
    """Let the loop run until it is so."""
    async with asyncio.timeout(within_s):
        while not fact():  # noqa: ASYNC110 - the facts are of another process, too
            await asyncio.sleep(0.002)


def connected(*parties: Party) -> Callable[[], bool]:
    return lambda: all(party.bus.state == "connected" for party in parties)


def away(*parties: Party) -> Callable[[], bool]:
    return lambda: all(party.bus.state == "away" for party in parties)


async def more(party: Party, count: int) -> None:
    """So many more events are shown there."""
    enough = len(party.got) + count
    await until(lambda: len(party.got) >= enough)
