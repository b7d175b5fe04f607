"""Place in the stream: what comes next, and is it still the stream that we were reading?

Knows ids, pages and what an entry must look like; trusts nothing that it reads. Knows nothing of
who is shown what. Redis 6.2 or newer (https://redis.io/docs/latest/develop/data-types/streams/).
"""

import re
from typing import Final, NamedTuple, Protocol

import orjson

from proxy.events.bus_link import ANSWER_WITHIN_S, BusError, packed

FIELD: Final = b"event"
EVENT_MOST_BYTES: Final = 256 << 10
# Read by the package in one turn of the loop, which costs it 17 µs each.
PAGE_ENTRIES: Final = 32
_COUNT: Final = (b"COUNT", b"%d" % PAGE_ENTRIES)
_ID: Final = re.compile(rb"(\d{1,20})-(\d{1,20})")
_NONE: Final = b"0-0"


class Asked(Protocol):
    """All that reading needs of a link."""

    async def ask(self, *words: bytes, within_s: float = ...) -> object: ...


class Entry(NamedTuple):
    """One event of the stream; without `event_id` it is rubbish, but still a place."""

    stream_id: bytes
    event_id: bytes
    data: bytes


class Stream:
    """Reads one stream from its newest `most` entries on. `place` is set by who has used an entry.

    `bad` counts entries that are no events.
    """

    def __init__(self, key: str, most: int) -> None:
        self.place: bytes | None = None
        self.bad = 0
        self._key = key.encode()
        self._most = most
        # All of an XADD but its last word.
        words = (b"XADD", self._key, b"MAXLEN", b"~", b"%d" % most, b"*", FIELD, b"")
        self._addition = packed(*words).removesuffix(b"$0\r\n\r\n")

    def __repr__(self) -> str:
        return f"<Stream {self._key!r} {self.place!r}>"

    def additions(self, batch: list[bytes]) -> bytes:
        """The commands that add these events."""
        return b"".join(b"%b$%d\r\n%b\r\n" % (self._addition, len(data), data) for data in batch)

    async def find_place(self, link: Asked) -> str:
        """Begin, or make sure that reading can go on; what was lost by it, in words."""
        length, first, last = await self._extent(link)
        if self.place is None:
            self.place = await self._before_newest(link) if length > self._most else _NONE
            return ""
        if _order(last) < _order(self.place):
            self.place = _NONE
            return "the stream was deleted or began anew; it is read from its beginning"
        if self.place != _NONE and _order(first) > _order(self.place):
            return "the stream was trimmed beyond what was read; events may be missing"
        return ""

    async def page(self, link: Asked, *, wait_ms: int = 0) -> tuple[list[Entry], bool]:
        """What comes next, after `wait_ms` nothing; and whether there may be more at once."""
        wait = (b"BLOCK", b"%d" % wait_ms) if wait_ms else ()
        place = self.place or _NONE
        answer = await link.ask(
            *(b"XREAD", *_COUNT, *wait, b"STREAMS", self._key, place),
            within_s=ANSWER_WITHIN_S + wait_ms / 1000,
        )
        match answer:
            case None:
                return [], False
            case [[_, list(found)]]:
                return self._entries(found, place), len(found) >= PAGE_ENTRIES
            case _:
                raise BusError("the answer to XREAD is none")

    def _entries(self, found: list[object], place: bytes) -> list[Entry]:
        entries = []
        for each in found:
            stream_id = _id_of(each)
            if _order(stream_id) <= _order(place):
                raise BusError("the ids of the stream do not ascend")  # it would never end
            data = _data_of(each)
            event_id = event_id_of(data)
            self.bad += not event_id
            entries.append(Entry(stream_id, event_id, data))
            place = stream_id
        return entries

    async def _before_newest(self, link: Asked) -> bytes:
        """The id after which the newest `most` entries come."""
        end = b"+"
        left = self._most
        while True:
            answer = await link.ask(b"XREVRANGE", self._key, end, b"-", *_COUNT)
            if not isinstance(answer, list):
                raise BusError("the answer to XREVRANGE is none")
            if len(answer) > left:
                return _id_of(answer[left])
            if len(answer) < PAGE_ENTRIES:
                return _NONE
            left -= len(answer)
            end = b"(" + _id_of(answer[-1])

    async def _extent(self, link: Asked) -> tuple[int, bytes, bytes]:
        """Length, first id and last id that was ever given."""
        if not await link.ask(b"EXISTS", self._key):
            return 0, _NONE, _NONE
        answer = await link.ask(b"XINFO", b"STREAM", self._key)
        if not isinstance(answer, list):
            raise BusError("the answer to XINFO is none")
        facts = dict(zip(answer[::2], answer[1::2], strict=False))
        length, first = facts.get(b"length"), facts.get(b"first-entry")
        last = facts.get(b"last-generated-id")
        if not (isinstance(length, int) and isinstance(last, bytes) and _ID.fullmatch(last)):
            raise BusError("the answer to XINFO is none")
        return length, _id_of(first) if first else _NONE, last


def event_id_of(data: bytes) -> bytes:
    """The id of an event that may be shown; empty if it is none."""
    if len(data) > EVENT_MOST_BYTES or b"\n" in data or b"\r" in data:
        return b""
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        return b""
    event_id = event.get("event_id") if isinstance(event, dict) else None
    return event_id.encode() if isinstance(event_id, str) else b""


def _id_of(entry: object) -> bytes:
    match entry:
        case [bytes(stream_id), *_] if _ID.fullmatch(stream_id):
            return stream_id
        case _:
            raise BusError("an entry of the stream has no id")


def _data_of(entry: object) -> bytes:
    match entry:
        case [_, list(fields)]:
            data = dict(zip(fields[::2], fields[1::2], strict=False)).get(FIELD)
            return data if isinstance(data, bytes) else b""
        case _:
            return b""


def _order(stream_id: bytes) -> tuple[int, int]:
    time_ms, _, number = stream_id.partition(b"-")
    return int(time_ms), int(number)
