"""Answers to reads that are still good, and those that may be asked for again by `ETag`.

Keeps octets, not objects, so that nobody can change what another one gets. Bounded in number and
size, the least recently used out first. Knows nothing of where answers come from.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

FRESH_FOR_S: Final = 300.0
_MOST_ENTRIES: Final = 1024
_MOST_BYTES: Final = 64 << 20


@dataclass(slots=True)
class Entry:
    """One answer's body; good until `fresh_until`, then only if its `etag` still holds."""

    body: bytes
    etag: str | None
    fresh_until: float


class ResponseCache:
    """Bodies by key. Moments are seconds of one monotonic clock."""

    def __init__(self, *, most_entries: int = _MOST_ENTRIES, most_bytes: int = _MOST_BYTES) -> None:
        self.hits = 0
        self.misses = 0
        self.revalidated = 0
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[bytes, Entry] = OrderedDict()

    def __repr__(self) -> str:
        return f"<ResponseCache {len(self._entries)} entries, {self._bytes} bytes>"

    @property
    def hit_rate(self) -> float:
        """The share (0 to 1) of reads that needed no request of their own."""
        asked = self.hits + self.misses + self.revalidated
        return self.hits / asked if asked else 0.0

    def look(self, key: bytes) -> Entry | None:
        """The entry, fresh or not."""
        entry = self._entries.get(key)
        if entry:
            self._entries.move_to_end(key)
        return entry

    def keep(self, key: bytes, body: bytes, etag: str | None, now: float) -> None:
        self.forget(key)
        if len(body) > self._most_bytes:
            return
        self._entries[key] = Entry(body, etag, now + FRESH_FOR_S)
        self._bytes += len(body)
        while len(self._entries) > self._most_entries or self._bytes > self._most_bytes:
            self.forget(next(iter(self._entries)))

    def renew(self, key: bytes, entry: Entry, now: float) -> None:
        """The gateway says that it still holds."""
        self.keep(key, entry.body, entry.etag, now)

    def forget(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry:
            self._bytes -= len(entry.body)

    def view(self) -> dict[str, object]:
        return {
            "hits": self.hits,
            "misses": self.misses,
            "revalidated": self.revalidated,
            "entries": len(self._entries),
            "bytes": self._bytes,
            "hit_rate": self.hit_rate,
        }
