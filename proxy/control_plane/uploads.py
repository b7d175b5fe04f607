"""Large bodies that must be read whole: how many octets of them are held at a time?

A caller who stalls holds what has come, and nobody up.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from proxy import errors
from proxy.config.document import MAX_BYTES

_HELD_BYTES: Final = 2 * MAX_BYTES
_AGAIN_AFTER_S: Final = 5


class Uploads:
    """All bodies of one listener that are being read, or looked at."""

    def __init__(self) -> None:
        self._held_bytes = 0
        self._turn = asyncio.Semaphore(1)  # to be looked at: that takes a process

    def __repr__(self) -> str:
        return f"<Uploads {self._held_bytes} bytes>"

    @asynccontextmanager
    async def whole(
        self, request: web.Request, most_bytes: int = MAX_BYTES
    ) -> AsyncIterator[bytes]:
        """The body, once it is its turn; raises `BodyTooLargeError` and `NoRoomError`."""
        if (request.content_length or 0) > most_bytes:
            raise _too_large(most_bytes)
        pieces: list[bytes] = []
        length = 0
        try:
            async for piece in request.content.iter_any():
                length += len(piece)
                self._held_bytes += len(piece)
                pieces.append(piece)
                if length > most_bytes:
                    raise _too_large(most_bytes)
                if self._held_bytes > _HELD_BYTES:
                    raise errors.NoRoomError(
                        "Too many large bodies are on their way at once",
                        retry_after_s=_AGAIN_AFTER_S,
                    )
            body = b"".join(pieces)
            pieces.clear()
            async with self._turn:
                yield body
        finally:
            self._held_bytes -= length


def _too_large(most_bytes: int) -> errors.ProxyError:
    return errors.BodyTooLargeError(f"The body may have {most_bytes} bytes here")
