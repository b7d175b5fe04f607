"""A Redis key as a target: set in one transaction with the notice that it was, or not at all.

`WATCH` sees to it that what is replaced is what was looked at
(https://redis.io/docs/latest/develop/using-commands/transactions/).
"""

import asyncio
import hashlib
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from proxy.config.document import MAX_BYTES
from proxy.events.bus_link import BusError, Link
from proxy.generations.redis_source import place_of
from proxy.generations.remote import CONNECT_WITHIN_S
from proxy.generations.source import SourceError
from proxy.people.unusable import UnusableError
from proxy.publishing.refusal import RefusedError
from proxy.publishing.targets import Parcel, There, Told, overtaken

_WITHIN_S: Final = 60.0  # a whole value, there or back

T = TypeVar("T")


class RedisTarget:
    """The key at `redis://host:port/[database/]key`."""

    profile = "default"
    keeps_text = False

    def __init__(self, url: str) -> None:
        """Raises `UnusableError`."""
        try:
            self._place = place_of(url, "TARGET")
        except SourceError as error:
            raise UnusableError(str(error)) from None
        self.name = self._place.name

    def __repr__(self) -> str:
        return f"<RedisTarget {self.name}>"

    def look(self) -> There | None:
        return self._done(self._look())

    def put(self, parcel: Parcel, before: There | None, told: Told) -> None:
        _ = told  # one answer comes, for everything
        if not self._done(self._replaced(parcel, before)):
            raise RefusedError(overtaken(self.name))

    def _done(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return asyncio.run(work)
        except BusError as error:
            raise RefusedError(f"{self.name}: {error}") from None

    async def _look(self) -> There | None:
        async with self._place.address.link(CONNECT_WITHIN_S) as link:
            return await self._value(link)

    async def _replaced(self, parcel: Parcel, before: There | None) -> bool:
        """False when it was another value by then."""
        octets = parcel.artifact
        async with self._place.address.link(CONNECT_WITHIN_S) as link:
            await link.ask(b"WATCH", self._place.key)
            if await self._value(link) != before:
                return False
            await link.ask(b"MULTI")
            await link.ask(b"SET", self._place.key, octets, within_s=_WITHIN_S)
            name = hashlib.sha256(parcel.canonical).hexdigest().encode()
            await link.ask(b"PUBLISH", self._place.channel, name)
            return await link.ask(b"EXEC", within_s=_WITHIN_S) is not None

    async def _value(self, link: Link) -> There | None:
        length = await link.ask(b"STRLEN", self._place.key)
        if not isinstance(length, int) or length > MAX_BYTES:
            raise BusError(f"what lies there is larger than {MAX_BYTES // 1024**2} MiB")
        value = await link.ask(b"GET", self._place.key, within_s=_WITHIN_S)
        return There(value) if isinstance(value, bytes) else None
