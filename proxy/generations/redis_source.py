"""A registry in a Redis key: what is its value, and who says that it is another?

Knows the key, the channel that `toolproxy registry publish` speaks on, and Redis' own notices of
keys (https://redis.io/docs/latest/develop/pubsub/keyspace-notifications/), where they are on.
Needs neither: the key is looked at every interval too.
"""

import asyncio
import logging
import re
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes, urlsplit

from proxy.events.bus_link import Address, BusError, BusUnavailableError, Link
from proxy.generations.remote import (
    CONNECT_WITHIN_S,
    SILENT_FOR_S,
    Intake,
    RemoteSource,
    backoff_s,
    check_size,
)
from proxy.generations.source import AwayError, Changed, SourceError, Text

_LOG = logging.getLogger("toolproxy.registry")

_STEP_BYTES: Final = 256 * 1024  # hashed and copied within a millisecond
_READINGS: Final = 3
_AGAIN_S: Final = 0.1
# Whatever is published after Redis is back is seen within two seconds.
_AGAIN_MOST_S: Final = 1.5
_CHANNEL: Final = b"toolproxy:"
# No `@`: what stands before it might be a password with `/` in it.
_PATH: Final = re.compile(r"(/\d+)?/([^/@]+)")


class Place(NamedTuple):
    """Where a registry lies in Redis."""

    address: Address
    key: bytes
    name: str  # for people

    @property
    def channel(self) -> bytes:
        """Where a new value is told of."""
        return _CHANNEL + self.key


def place_of(url: str, setting: str) -> Place:
    """The place that `redis://host:port/[database/]key` means; raises `SourceError`."""
    try:
        parts = urlsplit(url)
        path = _PATH.fullmatch(parts.path)
        if path is None or (not path[1] and path[2].isdigit()):
            raise SourceError(
                f"{setting} names no key: it must be redis://host:6379/0/key,"
                " with / and @ in name, password and key percent-encoded"
            )
        address = Address(parts._replace(path=path[1] or "").geturl(), setting)
    except (BusUnavailableError, ValueError) as error:
        reason = str(error) if isinstance(error, BusUnavailableError) else f"{setting} is no URL"
        raise SourceError(reason) from None
    return Place(address, unquote_to_bytes(path[2]), f"{address}/{path[2]}")


class RedisSource(RemoteSource):
    """The key at `redis://host:port/[database/]key`. Raises `SourceError`."""

    def __init__(self, url: str, interval_s: float) -> None:
        self._place = place_of(url, "registry.url")
        super().__init__(self._place.name, interval_s)
        self._losses = 0  # of the subscription, in a row

    async def watch(self, changed: Changed) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(super().watch(changed))
            tasks.create_task(self._listen())

    async def _read(self, known: str, intake: Intake) -> Text | None:
        del known  # only the whole value says whether it is
        try:
            async with self._place.address.link(CONNECT_WITHIN_S) as link:
                for _ in range(_READINGS):
                    if await _pour(link, self._place.key, intake):
                        return intake.text()
        except BusError as error:
            raise AwayError(str(error)) from None
        raise AwayError("it changes faster than it can be read")

    async def _listen(self) -> None:
        while True:
            try:
                async with self._place.address.link(CONNECT_WITHIN_S) as link:
                    await self._subscribe(link)
                    await self._hear(link)
            except BusError as error:
                self._lose(str(error))
            await asyncio.sleep(backoff_s(self._losses, _AGAIN_S, _AGAIN_MOST_S))

    async def _subscribe(self, link: Link) -> None:
        """Raises `BusError` when no channel is open to us; one is enough."""
        _, key, _ = self._place
        keyspace = b"__keyspace@%d__:%b" % (self._place.address.database, key)
        refusals: list[BusError] = []
        for channel in (self._place.channel, keyspace):
            try:
                await link.ask(b"SUBSCRIBE", channel)
            except BusError as error:
                refusals.append(error)
        if len(refusals) > 1:
            raise refusals[0]
        self._news.set()  # what was said while nobody listened

    async def _hear(self, link: Link) -> None:
        while True:
            said = await link.hear(SILENT_FOR_S)
            if said is None:  # is anybody there?
                said = await link.ask(b"PING")
            match said:
                case [b"pong", *_]:
                    pass
                case _:
                    self._news.set()
            self._losses = 0  # not before: there are those that only ever accept

    def _lose(self, why: str) -> None:
        self._losses += 1
        if self._losses == 1:
            _LOG.warning("No notices of %s, it is looked at from time to time: %s", self.name, why)


async def _pour(link: Link, key: bytes, intake: Intake) -> bool:
    """Read the value in steps; False when it was another one before the end."""
    intake.clear()
    await link.ask(b"WATCH", key)
    length = await link.ask(b"STRLEN", key)
    if not isinstance(length, int) or not length:
        raise AwayError("there is no such key, or it is empty")
    check_size(length)
    for start in range(0, length, _STEP_BYTES):
        end = min(start + _STEP_BYTES, length)
        piece = await link.ask(
            b"GETRANGE", key, b"%d" % start, b"%d" % (end - 1), within_s=SILENT_FOR_S
        )
        if not isinstance(piece, bytes) or len(piece) != end - start:
            return False
        intake.take(piece)
    await link.ask(b"MULTI")
    # An empty transaction does nothing, and fails if what is watched was touched.
    return await link.ask(b"EXEC") is not None
