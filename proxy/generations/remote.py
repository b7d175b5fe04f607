"""Remote sources: how is a registry read that lies elsewhere, and when is the next look due?

Knows bounds, tags and pauses. Knows no protocol: `https_source` and `redis_source` are two.
"""

import asyncio
import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import uniform
from typing import BinaryIO, Final

from proxy.config.document import MAX_BYTES
from proxy.generations.source import AwayError, Changed, Text, spool, tag_of

CONNECT_WITHIN_S: Final = 5.0
SILENT_FOR_S: Final = 10.0  # no octet, and it is away
_WITHIN_S: Final = 60.0  # everything
_SPREAD: Final = 0.1  # of the interval, lest a fleet looks all at once
_AGAIN_S: Final = 1.0
_TOGETHER_S: Final = 0.05  # what comes within is one piece of news
_DOUBLINGS: Final = 16


class Intake:
    """A text on its way into a spool: piece by piece, bounded, and hashed as it comes."""

    def __init__(self, spooled: BinaryIO) -> None:
        self._spooled = spooled
        self.clear()

    def __repr__(self) -> str:
        return f"<Intake {self._bytes} bytes>"

    def clear(self) -> None:
        """Begin anew."""
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._spooled.seek(0)
        self._spooled.truncate()

    def take(self, piece: bytes) -> None:
        self._bytes += len(piece)
        check_size(self._bytes)
        self._digest.update(piece)
        self._spooled.write(piece)

    @property
    def digest(self) -> str:
        """SHA-256 of what came so far."""
        return self._digest.hexdigest()

    def beginning(self, octets: int) -> bytes:
        """The first of what came, at most so many octets; all has come."""
        self._spooled.seek(0)
        return self._spooled.read(octets)

    def text(self, signature: bytes | None = None) -> Text:
        """What came, to be lent; all has come."""
        self._spooled.seek(0)  # which also flushes
        handle = self._spooled.fileno()
        tag = tag_of(self.digest, signature)
        return Text(f"/dev/fd/{handle}", tag, signature, handle=handle)


class RemoteSource(ABC):
    """What is asked over the network, every `interval_s` seconds or when there is news of it."""

    remote = True

    def __init__(self, name: str, interval_s: float) -> None:
        self.name = name
        self._interval_s = interval_s
        self._failures = 0  # in a row
        self._news = asyncio.Event()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} failures={self._failures}>"

    @asynccontextmanager
    async def fetch(self, known: str) -> AsyncIterator[Text | None]:
        """Lend what was read, or None while it is `known`; AwayError says why it can't be read."""
        with contextlib.ExitStack() as stack:
            try:
                intake = Intake(stack.enter_context(spool()))
                async with asyncio.timeout(_WITHIN_S):
                    text = await self._read(known, intake)
            except TimeoutError:
                raise self._away(f"not there in {_WITHIN_S:g} s") from None
            except OSError as error:  # no room for it
                raise self._away(str(error.strerror)) from None
            except AwayError as error:
                raise self._away(str(error)) from None
            self._failures = 0
            yield None if text is None or text.tag == known else text

    async def watch(self, changed: Changed) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._news.wait()
            await asyncio.sleep(_TOGETHER_S)
            self._news.clear()  # before the look: what comes during it is a reason for another
            await changed()

    @abstractmethod
    async def _read(self, known: str, intake: Intake) -> Text | None:
        """The text, or None where nothing need be read to see that it is `known`.

        Raises `AwayError` with a reason alone.
        """

    def _away(self, why: str) -> AwayError:
        self._failures += 1
        return AwayError(f"cannot read {self.name}: {why}")

    def _pause_s(self) -> float:
        if self._failures:
            return backoff_s(self._failures, _AGAIN_S, self._interval_s)
        return self._interval_s * uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - spreads, guards nothing


def check_size(announced_bytes: int) -> None:
    if announced_bytes > MAX_BYTES:
        raise AwayError(f"larger than {MAX_BYTES // 1024**2} MiB")


def backoff_s(failures: int, least_s: float, most_s: float) -> float:
    """The pause after so many failures in a row: by chance, and up to twice as long each time."""
    longest_s = min(most_s, least_s * 2 ** min(failures, _DOUBLINGS))
    return uniform(min(least_s, longest_s), longest_s)  # noqa: S311 - spreads, guards nothing
