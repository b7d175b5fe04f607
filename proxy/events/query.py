"""Questions about events: which are wanted, which do files hold, what do they add up to?

Knows the keys of an event, in our words and in those of other servers. Does not know who asks.
"""

import contextlib
import itertools
import operator
import os
import re
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import orjson

from proxy.events.event import ORIGIN_ID, Wanted, alike, facts_of

Event = dict[str, object]

_LONGEST_KIND: Final = 128
# What would end a line where the kind is a line's content; str.splitlines() has more than \n.
_NOT_IN_KIND: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SPAN: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_EXPECTED: Final = "expected a span such as 90s, 24h or 7d, or a time such as 2026-01-01T12:00:00Z"
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)

_BLOCK_BYTES: Final = 256 * 1024
_LONGEST_LINE_BYTES: Final = 1024**2
# Letters that no writer of JSON escapes: whatever stands between them, a line must have these.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]+", re.ASCII)
# Writers share a file, and wait for a disk: a line may be this much older than one before it.
_DISORDER: Final = timedelta(seconds=60)
_SAMPLES: Final = 8  # lines of a block that are asked how old it is
# After so long, so long is left to the event loop: measured beside it on two quiet cores (60 MiB),
# that is held up by about 1 ms in the 99th percentile.
_TURN_S: Final = 0.0005
_REST_S: Final = 0.0001
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_LONGEST_MS: Final = 1e15  # more is no duration; it would spoil the sums


class Asked(NamedTuple):
    """Which events, since when, and how many at most (the newest)."""

    wanted: Wanted = Wanted()
    since: datetime | None = None  # aware; None: ever
    limit: int = 100

    def takes(self, event: Mapping[str, object]) -> bool:
        if self.since is not None and not _is_since(event, self.since):
            return False
        return self.wanted.takes(facts_of(event))


def since_of(text: str, now: datetime) -> datetime:
    """The moment a span before `now`, or an ISO 8601 moment; ValueError says what is expected.

    A time without an offset is taken as UTC. A `+` that came as a space is understood.
    """
    if match := _SPAN.fullmatch(text):
        amount, unit = match.groups()
        try:
            return now - timedelta(seconds=float(amount) * _UNIT_S[unit])
        except OverflowError:
            return _EARLIEST
    moment = _moment(text) or _moment("+".join(text.rsplit(" ", 1)))
    if moment is None:
        raise ValueError(_EXPECTED)
    return moment


def moment_of(event: Mapping[str, object]) -> datetime | None:
    """When it happened, aware; None if it does not say so in ISO 8601."""
    return _moment(event.get("timestamp"))


def normal(document: Mapping[str, object], now: datetime | None = None) -> Event | None:
    """An event of another server as one of ours; None if it is none.

    Its `event_type` must be a text that fits into a line, and the whole must be such as can be
    encoded again (orjson reads 1024 levels and writes 254). A `status` or `trace_id` that is no
    text is dropped, as is a `timestamp` that is no ISO 8601: `now` then takes its place, if given.
    All else is kept.
    """
    kind = _text(document, "event_type")
    if not 0 < len(kind) <= _LONGEST_KIND or _NOT_IN_KIND.search(kind):
        return None
    event = dict(document)
    for key in ("status", "trace_id"):
        if not isinstance(event.get(key, ""), str):
            del event[key]
    if moment_of(event) is None:
        event.pop("timestamp", None)
        if now is not None:
            event["timestamp"] = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        orjson.dumps(event)
    except orjson.JSONEncodeError:
        return None
    return event


def read_files(
    files: Sequence[Path], asked: Asked, *, block_bytes: int = _BLOCK_BYTES
) -> list[Event]:
    """The newest events of the files (oldest first, as is the answer) that are wanted.

    Blocks: run it in a thread. It reads backwards until there are `limit`, or until events are
    older than `since` by more than a minute. Lines are taken to be in order but for that minute;
    an event that was written later than that may be missed. What is no event is skipped, and a
    file that vanishes or shrinks meanwhile is no error.
    """
    with contextlib.ExitStack() as stack:
        events = _backwards(_blocks(_open_all(files, stack), block_bytes), asked)
        return list(itertools.islice(events, max(0, asked.limit)))[::-1]


def merged(sources: Iterable[Iterable[Event]], limit: int) -> list[Event]:
    """The newest `limit` events of all sources, by timestamp, none of them twice.

    Of equal timestamps the order is that of the sources; an event that does not say when it
    happened stays behind the one before it. The same `event_id` is the same event, be it the one
    that another server gave (`origin_event_id`, since it was taken in) or ours. To an event of
    another server that has none, exactly `event_id` is added when it is taken in, and `timestamp`
    if it has none of that either; so one without an `event_id` is the same as one that is equal
    in all else. A source that holds such an event twice means two.
    """
    placed = [list(_placed(source)) for source in sources]
    ids: set[str] = set()
    known = _contents(event for source in placed for _, event in source)
    kept: list[tuple[datetime, Event]] = []
    for source in placed:
        met: Counter[bytes] = Counter()
        for at, event in source:
            if event_id := _text(event, ORIGIN_ID) or _text(event, "event_id"):
                if event_id in ids:
                    continue
                ids.add(event_id)
            else:
                content = _content(event)
                met[content] += 1
                if met[content] <= known[content]:
                    continue
                known[content] += 1
            kept.append((at, event))
    kept.sort(key=operator.itemgetter(0))
    return [event for _, event in kept[max(0, len(kept) - limit) :]]


def parsed(lines: Sequence[bytes]) -> list[Event]:
    """Events that are known to be such. Blocks as `read_files` does."""
    return [orjson.loads(line) for line in _paced(lines)]


def summary(trace_id: str, events: Sequence[Mapping[str, object]]) -> Event:
    """What the events of a trace add up to; durations in milliseconds.

    A value of another type than expected counts as none: a duration as 0, a name as `unknown`.
    """
    failed = [event for event in events if alike(_text(event, "status"), "error")]
    times = sorted((at, _text(event, "timestamp")) for event in events if (at := moment_of(event)))
    return {
        "trace_id": trace_id,
        "total_events": len(events),
        "by_type": dict(Counter(_name(event, "event_type") for event in events)),
        "success_count": sum(_text(event, "status") == "success" for event in events),
        "error_count": len(failed),
        "total_duration_ms": round(sum(map(_duration_ms, events)), 3),
        "by_tool": _spent(events, "tool_invoked", "server_name", "tool_name"),
        "by_generator": _spent(events, "chora.content_generated", "generator_type"),
        "errors": [_error(event) for event in failed],
        "first_at": times[0][1] if times else None,
        "last_at": times[-1][1] if times else None,
    }


def _text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    return value if isinstance(value, str) else ""


def _is_since(event: Mapping[str, object], since: datetime) -> bool:
    at = moment_of(event)
    return at is not None and at >= since


def _moment(text: object) -> datetime | None:
    # fromisoformat() takes any sign between date and time, even a newline.
    if not isinstance(text, str) or not text.isprintable():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _backwards(blocks: Iterable[bytes], asked: Asked) -> Iterator[Event]:
    needles = [_needle(asked.wanted.trace_id), _needle(asked.wanted.server)]
    for block in _paced(blocks):
        for line in _paced(_lines_with(needles, block)):
            document = _parsed(line)
            if asked.takes(document) and (event := normal(document)):
                yield event
        if asked.since is not None and _is_older(block, asked.since):
            return


def _paced(items: Iterable[bytes]) -> Iterator[bytes]:
    rest_at = time.perf_counter() + _TURN_S
    for item in items:
        yield item
        if time.perf_counter() > rest_at:
            time.sleep(_REST_S)
            rest_at = time.perf_counter() + _TURN_S


def _needle(text: str) -> bytes:
    """What a line with this text must have in it, however its writer escapes."""
    return max(_PLAIN.findall(text), key=len, default="").encode()


def _open_all(files: Sequence[Path], stack: contextlib.ExitStack) -> list[int]:
    """Newest first, before any is read: one that is rotated meanwhile is met twice, not missed."""
    handles: dict[tuple[int, int], int] = {}
    for path in reversed(files):
        with contextlib.suppress(OSError):  # the others may be there; `tail` says what is wrong
            handle = os.open(path, _OPEN)
            stack.callback(os.close, handle)
            found = os.fstat(handle)
            if stat.S_ISREG(found.st_mode):
                handles.setdefault((found.st_dev, found.st_ino), handle)
    return list(handles.values())


def _blocks(handles: Iterable[int], block_bytes: int) -> Iterator[bytes]:
    """The files' whole lines, from the end of the first to the beginning of the last."""
    for handle in handles:
        rest = b""  # of the line that begins further back
        end = os.fstat(handle).st_size
        while end:
            begin = max(0, end - block_bytes)
            try:
                block = os.pread(handle, end - begin, begin) + rest
            except OSError:  # a disk or network that fails: what was read is an answer
                break
            end, rest = begin, b""
            if begin:
                rest, _, block = block.partition(b"\n")
                rest = rest if len(rest) <= _LONGEST_LINE_BYTES else b""
            yield block


def _lines_with(needles: Sequence[bytes], block: bytes) -> Iterator[bytes]:
    """The lines that have all needles, the last first."""
    if all(needle in block for needle in needles):
        for line in reversed(block.split(b"\n")):
            if all(needle in line for needle in needles):
                yield line


def _parsed(line: bytes) -> Event:
    """Empty if it is none."""
    document = None
    if len(line) <= _LONGEST_LINE_BYTES:
        with contextlib.suppress(orjson.JSONDecodeError):
            document = orjson.loads(line)
    return document if isinstance(document, dict) else {}


def _is_older(block: bytes, since: datetime) -> bool:
    """Whether all of it is, as far as some lines say. One clock that is wrong says little."""
    lines = block.split(b"\n")
    sample = (moment_of(_parsed(line)) for line in lines[:: len(lines) // _SAMPLES + 1])
    return since - max(filter(None, sample), default=since) > _DISORDER


def _placed(source: Iterable[Event]) -> Iterator[tuple[datetime, Event]]:
    at = _EARLIEST
    for event in source:
        at = moment_of(event) or at
        yield at, event


def _contents(events: Iterable[Event]) -> Counter[bytes]:
    """How often there is what an event without an `event_id` may be the same as."""
    named = {_text(event, "event_id"): event for event in events}
    if named.pop("", None) is None:
        return Counter()  # there is none to compare
    return Counter(
        content
        for event in named.values()
        for content in {_content(event), _content(event, ("event_id", "timestamp"))}
    )


def _content(event: Event, added: tuple[str, ...] = ("event_id",)) -> bytes:
    kept = {key: value for key, value in event.items() if key not in added}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


def _name(event: Mapping[str, object], key: str) -> str:
    return _text(event, key) or "unknown"


def _duration_ms(event: Mapping[str, object]) -> float:
    value = event.get("duration_ms")
    # Not isinstance(): True is no duration.
    if type(value) in (int, float) and abs(value) < _LONGEST_MS:  # type: ignore[arg-type]  # so
        return float(value)  # type: ignore[arg-type]  # it is a number
    return 0.0


def _spent(
    events: Sequence[Mapping[str, object]], kind: str, *keys: str
) -> dict[str, dict[str, float]]:
    """How often and how long, by what the keys say."""
    spans: defaultdict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.get("event_type") == kind:
            spans[".".join(_name(event, key) for key in keys)].append(_duration_ms(event))
    return {
        each: {
            "count": len(spent),
            "total_ms": round(sum(spent), 3),
            "avg_ms": round(sum(spent) / len(spent), 3),
        }
        for each, spent in spans.items()
    }


def _error(event: Mapping[str, object]) -> Event:
    """What is told of a failure."""
    also = ("error_code", "server_name", "tool_name")
    return {
        "event_type": _name(event, "event_type"),
        "error_message": event.get("error_message", "Unknown error"),
        "timestamp": event.get("timestamp"),
        **{key: event[key] for key in also if key in event},
    }
